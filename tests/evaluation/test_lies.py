"""No engine is trusted: what becomes of every image, whatever an attack returns."""

import numpy as np
import pytest
import torch

from robustbench_pix.attacks.base import MinimalDistanceAttack
from robustbench_pix.errors import JobFailedError
from tests.attacks.toys import (
    Halfspace,
    Quadrants,
    decisions_of,
    entry,
    gray_images,
    run_entry,
)
from tests.evaluation.told import (
    IMAGES,
    Fixed,
    Minimal,
    inverted,
    nan,
    out_of_bounds,
    run_fixed,
    run_minimal,
    unchanged,
)


def test_an_honest_attack_is_judged_by_the_model():
    examples = run_fixed(lambda images, strength: images if strength == 0 else 1 - images)
    strong = examples[examples["strength"] > 0]
    assert not strong["correct"].any()
    assert not strong["failed"].any()
    assert (strong["prediction"].to_numpy().reshape(2, 6) == decisions_of(Quadrants(), 1 - IMAGES).numpy()).all()
    assert examples.loc[examples["strength"] == 0, "correct"].all()


@pytest.mark.parametrize("make", [nan, out_of_bounds])
def test_lies_of_a_fixed_strength_attack_find_nothing(make):
    examples = run_fixed(make)
    assert examples["failed"].all()
    assert examples["correct"].all()
    assert (examples["l2"] == 0).all()
    assert (examples["prediction"] == examples["label"]).all()


@pytest.mark.parametrize("kind", ["linf", "l2"])
def test_outside_the_ball_finds_nothing(kind):
    examples = run_fixed(inverted, kind=kind, strengths=(0.0, 0.01, 0.02))
    assert examples["failed"].all()
    assert examples["correct"].all()
    inside = run_fixed(inverted, kind=kind, strengths=(0.0, 8.0))
    assert inside.loc[inside["strength"] == 8.0, "failed"].sum() == 0
    assert not inside.loc[inside["strength"] == 8.0, "correct"].any()


def test_one_lie_does_not_spoil_the_others():
    def partly(images, strength=None):
        made = 1 - images
        made[3] = torch.nan
        return made

    examples = run_fixed(partly)
    assert examples["failed"].tolist() == [index == 3 for index in range(6)] * 3
    assert (examples["correct"] == examples["failed"]).all()
    examples = run_minimal(partly)
    assert examples["failed"].tolist() == [index == 3 for index in range(6)]
    assert (examples["correct"] == examples["failed"]).all()
    assert np.isinf(examples["l2"]).tolist() == examples["failed"].tolist()


@pytest.mark.parametrize("make", [unchanged, nan, out_of_bounds, lambda images: images * 0.99])
@pytest.mark.parametrize("protocol", ["strict", "paper"])
def test_lies_of_a_minimal_distance_attack_find_nothing(make, protocol):
    examples = run_minimal(make, protocol=protocol)
    assert examples["failed"].all()
    assert examples["correct"].all()
    assert np.isinf(examples[["l2", "linf", "distance_at_100", "distance_at_10000", "distance_at_half"]]).all(axis=None)
    assert (examples["prediction"] == examples["label"]).all()


@pytest.mark.parametrize(
    "make",
    [
        lambda images, strength=None: images[:1],
        lambda images, strength=None: images[:, :, :4],
        lambda images, strength=None: images.flatten(1),
        lambda images, strength=None: None,
    ],
)
def test_a_wrong_shape_fails_the_job(make):
    for attack in (Fixed(make), Minimal(make), Minimal(make, needs_starts=True)):
        with pytest.raises(JobFailedError, match=r"the attack returned .* for images of the shape \(6, 1, 8, 8\)"):
            run_entry(entry("x", "decisions"), Quadrants(), IMAGES, attack=attack)


def test_fewer_results_than_strengths_fail_the_job():
    class Short(Fixed):
        def perturb(self, target, images, labels, strengths, keys):
            yield images

    with pytest.raises(JobFailedError, match="the attack returned nothing"):
        run_fixed(Short(unchanged))


def test_an_engine_that_changes_its_input_moves_no_clean_image():
    def in_place(images, strength=None):
        return images.copy_(1 - images.round())

    fixed = run_fixed(in_place, kind="linf")
    assert fixed["failed"].all()
    assert fixed["correct"].all()
    minimal = run_minimal(in_place)
    expected = (1 - IMAGES.round() - IMAGES).flatten(1).norm(dim=1)
    np.testing.assert_allclose(minimal["l2"], expected, rtol=1e-5)


def test_engines_may_return_another_type_and_gradients():
    examples = run_fixed(lambda images, strength: (1 - images).double().requires_grad_())
    assert not examples["correct"].any()
    assert not examples["failed"].any()


class Nearly(MinimalDistanceAttack):
    """Goes a share of the way to a hyperplane."""

    def __init__(self, share):
        self.share = share

    def minimize(self, target, images, labels, starts, keys):
        model = target.oracle.network
        step = -self.share * model.margin(images) / model.weight.norm() ** 2
        return (images + (step[:, None] * model.weight).reshape(images.shape)).detach()


@pytest.mark.parametrize(("share", "found"), [(1.1, True), (0.9998, True), (0.99, False)])
def test_an_image_on_the_boundary_to_the_last_bit_is_tried_further(share, found):
    """BoundaryAttack of the toolbox ends where rounding decides, and that depends on the batch."""
    network, images = Halfspace(distance=0.3), gray_images(4)
    examples = run_minimal(Nearly(share), network=network, images=images, labels=decisions_of(network, images))
    assert (~examples["failed"]).tolist() == [found] * 4
    assert examples["correct"].tolist() == [not found] * 4
    expected = network.distances(images) * (share if share > 1 else 1.001 * share) if found else [np.inf] * 4
    np.testing.assert_allclose(examples["l2"], expected, rtol=1e-4)


@pytest.mark.parametrize("kind", ["l2", "linf"])
def test_the_nearest_adversarial_that_was_asked_about_counts(kind):
    """HopSkipJump of the toolbox returns a point further away than the best it found."""

    class Forgetful(MinimalDistanceAttack):
        def minimize(self, target, images, labels, starts, keys):
            for share in (1.5, 1.2, 0.9, 1.1, 1.4):
                target.oracle(Nearly(share).minimize(target, images, labels, starts, keys))
            return Nearly(1.3).minimize(target, images, labels, starts, keys)

    network, images = Halfspace(distance=0.3), gray_images(4)
    labels = decisions_of(network, images)
    examples = run_minimal(Forgetful(), network=network, images=images, labels=labels, kind=kind)
    np.testing.assert_allclose(examples["l2"], 1.1 * network.distances(images), rtol=1e-4)
    np.testing.assert_allclose(examples[kind], examples["distance_at_100"], rtol=1e-6)
    assert (examples["queries"] == 5).all()


def test_outside_an_l1_ball_finds_nothing_though_it_is_inside_the_l2_ball():
    for kind, outside in (("l1", True), ("l2", False)):
        examples = run_fixed(inverted, kind=kind, strengths=(0.0, 1.0))
        assert (examples.loc[examples["strength"] == 1.0, "failed"] == outside).all()

"""Projected gradient: the optimum where it is known, the libraries' points, and no trace of the batch."""

import dataclasses

import foolbox
import numpy as np
import pytest
import scipy
import torch
from scipy.ndimage import convolve
from scipy.stats import kstest
from torch import nn

from robustbench_pix.attacks.base import TensorCache
from robustbench_pix.attacks.building import build_attack
from robustbench_pix.attacks.common.norms import Ball, distances, steepest
from robustbench_pix.attacks.common.philox import PhiloxNoise
from robustbench_pix.attacks.gradient.projected_gradient import (
    FastGradientSign,
    ProjectedGradient,
    blurred,
    diversified,
)
from robustbench_pix.attacks.querying.oracle import Oracle
from robustbench_pix.errors import JobFailedError, UserError
from tests.attacks.toys import (
    SIDE,
    Counting,
    Halfspace,
    QuadraticClassifier,
    attacked,
    blind,
    decisions_of,
    entry,
    gray_images,
    keys_of,
    run_entry,
    some_images,
    tiny_network,
)

NORMS = ["linf", "l2"]


class Stubborn(nn.Module):
    """Always decides for class 2, whose loss rises with the margin of a halfspace; its gradients are tiny."""

    def __init__(self):
        super().__init__()
        self.halfspace, self.queries = Halfspace(), []

    def forward(self, images):
        self.queries.append(images.detach())
        return nn.functional.pad(self.halfspace(images), (0, 1), value=60.0)


BOWL_RADII = {"linf": 0.03, "l2": 0.2}


def perturbed(attack, network, images, labels, norm, strength, keys=None):
    """Return the images at one strength, and the queries of each."""
    target, log = attacked(network, images, labels, "gradients", norm=norm)
    keys = keys_of(len(images)) if keys is None else keys
    (found,) = attack.perturb(target, images, labels, [strength], keys)
    return found, log.queries


def sourced(source, **changed):
    return dataclasses.replace(blind(source=Oracle(source, "gradients", None)), **changed)


def transferred(attack, source, images, labels, norm="linf", strength=0.1):
    target = sourced(source, norm=norm)
    (found,) = attack.perturb(target, images, labels, [strength], keys_of(len(images)))
    return found


@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize("attack", [FastGradientSign(), ProjectedGradient(20), ProjectedGradient(20, momentum=0.5)])
def test_on_a_halfspace_they_fool_from_the_closed_form_distance_on(attack, norm):
    """The margin falls fastest by epsilon times the dual norm of w: ||w||_1 for linf, ||w||_2 for l2."""
    network, images = Halfspace(), gray_images(6)
    labels = decisions_of(network, images)
    dual = network.weight.norm(p=1 if norm == "linf" else 2)
    for index in range(6):
        one = slice(index, index + 1)
        smallest = (network.margin(images[one]).abs() / dual).item()
        for share, fools in ((0.99, False), (1.02, True)):
            found, _ = perturbed(attack, network, images[one], labels[one], norm, share * smallest)
            assert (decisions_of(network, found) != labels[one]).item() == fools


@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize("attack", [FastGradientSign(), ProjectedGradient(40, 0.2)])
def test_where_nothing_fools_they_end_at_the_farthest_point_of_the_ball(attack, norm):
    network, images = Stubborn(), gray_images(6)
    found, _ = perturbed(attack, network, images, torch.full((6,), 2), norm, 0.05)
    weight = network.halfspace.weight.detach().reshape(1, 1, SIDE, SIDE)
    optimum = images + 0.05 * (weight.sign() if norm == "linf" else weight / weight.norm())
    torch.testing.assert_close(found, optimum, atol=2e-5 if norm == "linf" else 2e-3, rtol=0)


@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize("momentum", [0, 1])
def test_every_query_is_inside_the_ball_and_the_bounds(norm, momentum):
    network, images = Stubborn(), some_images(5)
    attack = ProjectedGradient(steps=7, restarts=3, momentum=momentum)
    _, asked = perturbed(attack, network, images, torch.full((5,), 2), norm, 0.4)
    assert asked.tolist() == [3 * 8] * 5
    queries = torch.stack(network.queries)
    assert queries.min() >= 0
    assert queries.max() <= 1
    moved = torch.stack([distances(query - images, norm) for query in queries])
    assert moved.max() <= 0.4 * (1 + 1e-5)
    assert moved.amax(dim=1).min() > 0.2


@pytest.mark.parametrize(
    ("norm", "theirs", "strength"),
    [
        ("linf", foolbox.attacks.LinfProjectedGradientDescentAttack, 0.05),
        ("l2", foolbox.attacks.L2ProjectedGradientDescentAttack, 0.5),
    ],
)
def test_equals_foolbox_without_a_random_start(norm, theirs, strength):
    source, images, labels = tiny_network(), some_images(16), torch.arange(16) % 4
    ours = ProjectedGradient(steps=9, step_share=0.2, random_start=False)
    found = transferred(ours, source, images, labels, norm, strength)
    model = foolbox.PyTorchModel(source, bounds=(0, 1), device="cpu")
    attack = theirs(rel_stepsize=0.2, steps=9, random_start=False)
    _, expected, _ = attack(model, images, labels, epsilons=strength)
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=0)
    assert (found - images).abs().max() > strength / 4


@pytest.mark.parametrize(("norm", "theirs", "strength"), [("linf", np.inf, 0.05), ("l2", 2, 0.5)])
def test_with_momentum_it_equals_the_toolbox(norm, theirs, strength):
    """foolbox sums signs of gradients; the paper and the toolbox gradients over their L1 norms."""
    from art.attacks.evasion import MomentumIterativeMethod
    from art.estimators.classification import PyTorchClassifier

    # Far from 0 and 1, since the toolbox clamps first and projects then.
    source, images, labels = tiny_network(), 0.3 + 0.4 * some_images(16), torch.arange(16) % 4
    ours = ProjectedGradient(steps=6, step_share=0.2, random_start=False, momentum=0.8)
    found = transferred(ours, source, images, labels, norm, strength)
    classifier = PyTorchClassifier(
        source, nn.CrossEntropyLoss(), (1, SIDE, SIDE), 4, clip_values=(0.0, 1.0), device_type="cpu"
    )
    settings = {"eps": strength, "eps_step": 0.2 * strength, "decay": 0.8, "max_iter": 6, "verbose": False}
    expected = MomentumIterativeMethod(classifier, norm=theirs, **settings).generate(images.numpy(), labels.numpy())
    torch.testing.assert_close(found, torch.from_numpy(expected), atol=1e-5, rtol=0)
    plain = transferred(ProjectedGradient(6, 0.2, random_start=False), source, images, labels, norm, strength)
    assert not torch.allclose(found, plain, atol=1e-3)


def test_a_translation_invariant_step_follows_the_blurred_gradient():
    source, images, labels = tiny_network(), 0.3 + 0.4 * some_images(6), torch.arange(6) % 4
    ours = ProjectedGradient(steps=1, step_share=1, random_start=False, kernel=5)
    found = transferred(ours, source, images, labels, strength=0.05)
    inputs = images.clone().requires_grad_()
    nn.functional.cross_entropy(source(inputs), labels).backward()
    weights = scipy.stats.norm.pdf(np.linspace(-3, 3, 5))
    kernel = np.outer(weights, weights) / weights.sum() ** 2
    blur = np.stack([convolve(one.numpy(), kernel, mode="constant") for one in inputs.grad[:, 0]])[:, None]
    torch.testing.assert_close(found, images + 0.05 * torch.from_numpy(np.sign(blur)).float())
    torch.testing.assert_close(blurred(inputs.grad, 5), torch.from_numpy(blur), atol=1e-7, rtol=1e-4)
    colour = torch.rand(2, 3, 6, 9, generator=torch.Generator().manual_seed(0))
    expected = np.stack([[convolve(channel.numpy(), kernel, mode="constant") for channel in one] for one in colour])
    torch.testing.assert_close(blurred(colour, 5), torch.from_numpy(expected), atol=1e-6, rtol=0)


@pytest.mark.parametrize("shape", [(1, 8, 8), (3, 28, 20), (1, 2, 2)])
def test_a_diverse_input_is_the_image_shrunk_to_nearest_pixels_and_padded(shape):
    count, (height, width) = 200, shape[1:]
    images = 0.1 + torch.rand(count, *shape, generator=torch.Generator().manual_seed(0))
    drawn = torch.rand(count, 4, generator=torch.Generator().manual_seed(1))
    changed, sizes, places = diversified(images, drawn, 0.7), set(), set()
    for image, number, result in zip(images.numpy(), drawn.numpy(), changed.numpy(), strict=True):
        if number[0] >= 0.7:
            assert (result == image).all()
            continue
        inside = (result > 0).any(axis=0)
        rows, columns = inside.any(axis=1).nonzero()[0], inside.any(axis=0).nonzero()[0]
        new = len(rows), len(columns)
        picked = [np.arange(size) * length // size for size, length in zip(new, (height, width), strict=True)]
        expected = np.zeros_like(image)
        expected[:, rows[0] : rows[0] + new[0], columns[0] : columns[0] + new[1]] = image[:, picked[0]][:, :, picked[1]]
        np.testing.assert_array_equal(result, expected)
        sizes.add(new)
        places.add((rows[0], columns[0]))
    heights, widths = ({size[axis] for size in sizes} for axis in (0, 1))
    assert heights == set(range(min(int(0.9 * height), height - 1), height))
    assert widths == set(range(min(int(0.9 * width), width - 1), width))
    assert {(0, 0), (1, 1), (0, 1), (1, 0)} <= places


def test_gradients_of_diverse_inputs_are_those_of_the_image():
    """On a linear model the gradient of the changed image is the weight moved back: what was cut out has none."""
    source, images, labels = Halfspace(), gray_images(8), torch.ones(8).long()
    ours = ProjectedGradient(steps=1, step_share=1, random_start=False, diversity=1.0)
    moved = transferred(ours, source, images, labels, strength=0.05) - images
    assert ((moved == 0).flatten(1).sum(dim=1) == 2 * SIDE - 1).all(), "a row and a column are left out"
    assert len({tuple(map(tuple, (one == 0).nonzero().tolist())) for one in moved[:, 0]}) == 1, "always the same"
    assert len(moved.sign().unique(dim=0)) > 1, "but padded at different places"


@pytest.mark.parametrize("norm", NORMS)
def test_an_image_depends_on_itself_and_its_key_alone(norm):
    network, images, keys = QuadraticClassifier(), some_images(9), keys_of(9)
    labels = decisions_of(network, images)
    attack = ProjectedGradient(steps=6, restarts=2)
    together, queries = perturbed(attack, network, images, labels, norm, BOWL_RADII[norm], keys)
    assert len(queries.unique()) > 2, "images leave at different times"
    assert queries.max() == 2 * 7
    backwards, queries_backwards = perturbed(
        attack, network, images.flip(0), labels.flip(0), norm, BOWL_RADII[norm], keys[::-1]
    )
    assert torch.equal(backwards.flip(0), together)
    assert torch.equal(queries_backwards.flip(0), queries)
    for place in (0, 5):
        one = slice(place, place + 1)
        alone, queries_alone = perturbed(attack, network, images[one], labels[one], norm, BOWL_RADII[norm], keys[one])
        assert torch.equal(alone, together[one])
        assert queries_alone[0] == queries[place]


def test_what_transfers_does_not_depend_on_the_batch_either():
    source, images, keys = QuadraticClassifier(), some_images(9), keys_of(9)
    labels = decisions_of(source, images)
    attack = ProjectedGradient(steps=5, momentum=1, diversity=0.5, kernel=3)
    target = sourced(source)
    (together,) = attack.perturb(target, images, labels, [0.1], keys)
    for place in (0, 5):
        one = slice(place, place + 1)
        (alone,) = attack.perturb(target, images[one], labels[one], [0.1], keys[one])
        assert torch.equal(alone[0], together[place])


@pytest.mark.parametrize("norm", NORMS)
def test_more_restarts_fool_no_fewer_and_change_nothing_that_was_fooled(norm):
    network, images = QuadraticClassifier(), some_images(40)
    labels, radius = decisions_of(network, images), {"linf": 0.06, "l2": 0.3}[norm]
    before, results = None, []
    for restarts in (1, 2, 6):
        attack = ProjectedGradient(steps=2, restarts=restarts, step_share=0.02)
        found, queries = perturbed(attack, network, images, labels, norm, radius)
        fooled = decisions_of(network, found) != labels
        assert (queries[~fooled] == restarts * 3).all()
        assert (queries[fooled] <= restarts * 3).all()
        if before is not None:
            assert fooled[before[0]].all()
            assert torch.equal(found[before[0]], before[1][before[0]])
        before = fooled, found
        results.append(fooled.sum().item())
    assert 0 < results[0] <= results[1] <= results[2] < 40
    assert results[0] < results[2]


def test_the_first_point_that_fools_is_kept_and_no_more_is_asked():
    network, images = Counting(Halfspace(seed=1)), gray_images(5)
    labels = decisions_of(network.network, images)
    smallest = network.network.margin(images).abs() / network.network.weight.norm(p=1)
    attack = ProjectedGradient(steps=10, step_share=0.1, random_start=False)
    radius = 1.5 * smallest.max().item()
    network.asked = 0
    found, queries = perturbed(attack, network, images, labels, "linf", radius)
    steps = torch.ceil(smallest / (0.1 * radius))
    assert queries.tolist() == (steps + 1).tolist()
    assert network.asked == queries.sum()
    torch.testing.assert_close(distances(found - images, "linf"), steps.detach() * 0.1 * radius)


def test_strength_0_is_the_image_and_asks_nothing():
    network, images = QuadraticClassifier(), some_images(3)
    labels = decisions_of(network, images)
    target, log = attacked(network, images, labels, "gradients", norm="linf")
    results = ProjectedGradient(steps=4).perturb(target, images, labels, [0.0, 0.1], keys_of(3))
    assert torch.equal(next(results), images)
    assert (log.queries == 0).all()
    assert not torch.equal(next(results), images)


@pytest.mark.parametrize("norm", NORMS)
def test_starts_are_uniform_in_the_ball(norm):
    images = torch.full((400, 1, 2, 4), 0.5)
    ball = Ball(images, 0.3, norm)
    points = ball.inside(PhiloxNoise(keys_of(400), "test", images.device), 0)
    moved = points - images
    if norm == "linf":
        assert kstest(moved.flatten().numpy(), "uniform", (-0.3, 0.6)).pvalue > 1e-3
    else:
        assert kstest((distances(moved, norm) / 0.3).numpy() ** 8, "uniform").pvalue > 1e-3
    surface = ball.surface(PhiloxNoise(keys_of(400), "test", images.device), 0)
    torch.testing.assert_close(distances(surface - images, norm), torch.full((400,), 0.3))
    other = ball.inside(PhiloxNoise(keys_of(400), "test", images.device), 1)
    assert (other != points).all()


def test_a_gradient_too_small_to_be_squared_still_points_uphill():
    gradients = torch.tensor([3e-30, 4e-30, 0, 0]).reshape(1, 1, 2, 2)
    torch.testing.assert_close(steepest(gradients, "l2").flatten(), torch.tensor([0.6, 0.8, 0, 0]))
    for norm in NORMS:
        assert (steepest(torch.zeros(1, 1, 2, 2), norm) == 0).all()


def test_the_source_is_asked_once_for_all_attacked_models():
    source, images, labels = Counting(tiny_network(seed=1)), some_images(5), torch.arange(5) % 4
    spec = entry("projected-gradient", "transfer", "linf", steps=3)
    memory = TensorCache(100_000)

    def results(norm="linf", **parameters):
        attack = ProjectedGradient(**({"steps": 3} | parameters))
        target = sourced(source, norm=norm, source_cache=memory)
        return list(attack.perturb(target, images, labels, [0.0, 0.1, 0.2], keys_of(5)))

    first, second = results(), results()
    assert source.asked == 2 * 3 * 5
    assert all(map(torch.equal, first, second))
    assert not torch.equal(first[1], results(norm="l2")[1])
    assert not torch.equal(first[1], results(momentum=1)[1])
    assert source.asked == 3 * 2 * 3 * 5
    kept = run_entry(spec, tiny_network(seed=2), images, labels, source=source.network)
    assert (kept["queries"] == 0).all()


def test_what_makes_no_sense_is_refused():
    source, images, labels = tiny_network(), some_images(2), torch.zeros(2).long()
    with pytest.raises(JobFailedError, match="success is unknown"):
        transferred(ProjectedGradient(restarts=2), source, images, labels)
    with pytest.raises(JobFailedError, match="diversity needs access"):
        perturbed(ProjectedGradient(diversity=0.5), source, images, labels, "linf", 0.1)
    for parameters, reason in (
        ({"steps": 0}, "steps must be"),
        ({"step_share": 0}, "step_share must be"),
        ({"restarts": 2, "random_start": False}, "all be the same"),
        ({"momentum": -1}, "momentum must be"),
        ({"diversity": 1.5}, "at most 1"),
        ({"kernel": 4}, "kernel must be odd"),
    ):
        with pytest.raises(UserError, match=reason):
            build_attack(entry("projected-gradient", "gradients", "linf", **parameters))

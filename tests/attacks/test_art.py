"""Attacks of the Adversarial Robustness Toolbox through their adapter, image by image and repeatable."""

import numpy as np
import pytest
import torch

from robustbench_pix.attacks.building import build_attack
from robustbench_pix.catalogue.workspace import Workspace
from tests.attacks.toys import (
    Halfspace,
    Quadrants,
    attacked,
    decisions_of,
    entry,
    gray_images,
    keys_of,
    run_entry,
    some_images,
    tiny_network,
)


@pytest.fixture
def shipped(tmp_path):
    return Workspace(tmp_path).attack("hop-skip-jump-art")


def test_hop_skip_jump_reaches_the_distance_to_a_hyperplane(shipped):
    network, images = Halfspace(distance=0.3), gray_images(3)
    examples = run_entry(shipped, network, images, classes=2)
    ratio = examples["l2"].to_numpy() / network.distances(images).numpy()
    assert (ratio > 1 - 1e-4).all()
    assert (ratio < 1.05).all(), (
        "what the toolbox returns is a step of 1 / sqrt(max_iter) further: its last is not undone"
    )


def test_hop_skip_jump_repeats_its_bytes_and_draws_nothing_from_the_system(shipped, monkeypatch):
    network, images = Quadrants(), some_images(2)
    first = run_entry(shipped.model_copy(update={"parameters": {"max_iter": 2}}), network, images)

    class Unseeded:
        def uniform(self, *_, **__):
            raise AssertionError("a start was drawn from the operating system")

    monkeypatch.setattr(np.random, "RandomState", Unseeded)
    np.random.seed(123)
    torch.manual_seed(123)
    again = run_entry(shipped.model_copy(update={"parameters": {"max_iter": 2}}), network, images)
    assert first.equals(again)
    assert (first["l2"] < np.inf).all()


@pytest.mark.parametrize(
    ("attack", "access", "strength", "parameters"),
    [
        ("art:HopSkipJump", "decisions", "l2", {"max_iter": 2}),
        ("art:SquareAttack", "scores", "linf", {"max_iter": 20}),
        ("art:SimBA", "scores", "l2", {"max_iter": 20, "attack": "px"}),
    ],
)
def test_an_image_does_not_depend_on_the_others(attack, access, strength, parameters):
    network, images = Quadrants(), some_images(4)
    spec = entry(attack, access, strength, **parameters)
    together = run_entry(spec, network, images)
    others = run_entry(spec, network, torch.cat([images[:1], some_images(2, seed=9)]))
    assert (
        together[together["index"] == 0]
        .reset_index(drop=True)
        .equals(others[others["index"] == 0].reset_index(drop=True))
    )


@pytest.mark.parametrize(
    ("attack", "access", "strength", "parameters"),
    [
        ("art:SquareAttack", "scores", "linf", {"max_iter": 20}),
        ("art:FastGradientMethod", "gradients", "linf", {}),
        ("art:FastGradientMethod", "gradients", "l2", {}),
        ("art:ProjectedGradientDescent", "gradients", "linf", {"max_iter": 3}),
        ("art:AutoProjectedGradientDescent", "gradients", "linf", {"max_iter": 3, "nb_random_init": 1}),
        ("art:VirtualAdversarialMethod", "gradients", "l2", {"max_iter": 1}),
    ],
)
def test_fixed_strengths_work_from_their_entry_alone(attack, access, strength, parameters):
    network, images = Quadrants(), gray_images(2)
    examples = run_entry(entry(attack, access, strength, **parameters), network, images, strengths=(0.0, 0.02, 0.1))
    assert not examples["failed"].any()
    for radius in (0.02, 0.1):
        moved = examples.loc[examples["strength"] == radius, strength]
        assert (moved <= radius * 1.001).all()
        assert (moved > 0.9 * radius).all()
    assert (examples.loc[examples["strength"] == 0, "linf"] == 0).all()


@pytest.mark.parametrize(
    ("attack", "access", "parameters"),
    [
        ("art:SignOPTAttack", "decisions", {"query_limit": 300, "k": 10, "num_trial": 5}),
        ("art:BoundaryAttack", "decisions", {"max_iter": 10}),
        ("art:SimBA", "scores", {"max_iter": 300}),
        ("art:DeepFool", "gradients", {}),
    ],
)
def test_minimal_distances_work_from_their_entry_alone(attack, access, parameters):
    network, images = Quadrants(), gray_images(2)
    spec = entry(attack, access, **parameters)
    examples = run_entry(spec, network, images)
    assert not examples["failed"].any()
    assert (examples["l2"] > 0).all()
    assert examples.equals(run_entry(spec, network, images))


def test_fast_gradient_method_is_ours():
    network, images = tiny_network(), some_images(3)
    labels = torch.tensor([0, 1, 2])
    keys = keys_of(3)
    theirs = build_attack(entry("art:FastGradientMethod", "gradients", "linf"))
    ours = build_attack(entry("fast-gradient-sign", "gradients", "linf"))
    target, _ = attacked(network, images, labels, "gradients", norm="linf")
    expected = next(iter(ours.perturb(target, images, labels, (0.1,), keys)))
    for index in range(3):
        one = slice(index, index + 1)
        target, _ = attacked(network, images[one], labels[one], "gradients", norm="linf")
        found = next(iter(theirs.perturb(target, images[one], labels[one], (0.1,), keys[one])))
        torch.testing.assert_close(found, expected[one], atol=1e-6, rtol=0)


def test_the_norm_follows_the_strength(shipped):
    assert build_attack(shipped).parameters["norm"] == 2
    assert build_attack(entry("art:HopSkipJump", "decisions", "linf")).parameters["norm"] == "inf"
    network, images = Quadrants(), gray_images(1)
    spec = entry("art:HopSkipJump", "decisions", "linf", max_iter=4, init_eval=30)
    by_linf = run_entry(spec, network, images)
    by_l2 = run_entry(entry("art:HopSkipJump", max_iter=4, init_eval=30), network, images)
    assert by_linf["linf"].item() < by_l2["linf"].item()


def test_labels_decide_and_not_the_models_opinion():
    """The toolbox attacks the model's own decision: under ``strict`` no misclassified image reaches it."""
    network, images = Quadrants(), gray_images(4)
    labels = decisions_of(network, images)
    labels[1] = (labels[1] + 1) % 4
    examples = run_entry(entry("art:HopSkipJump", max_iter=1, init_eval=5), network, images, labels)
    assert examples["queries"].tolist()[1] == 0
    assert not examples["correct"].any()

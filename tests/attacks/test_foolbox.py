"""Attacks of foolbox through their adapter: the same as foolbox alone, and right where the answer is known."""

import foolbox
import numpy as np
import pytest
import torch

from robustbench_pix.attacks.building import build_attack
from robustbench_pix.attacks.decision.starting_points import find_starts
from robustbench_pix.randomness import global_streams
from tests.attacks.toys import (
    Counting,
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


def test_boundary_attack_is_foolbox_called_directly():
    network, images = Quadrants(), some_images(6)
    labels, keys = decisions_of(network, images), keys_of(6, seed=5, repetition=2)
    target, log = attacked(network, images, labels, batch=keys[0])
    starts, _ = find_starts(target.oracle, images, labels, keys, images, labels, directions=50)
    asked_before = log.queries.clone()
    found = build_attack(entry("foolbox:BoundaryAttack", steps=60)).minimize(target, images, labels, starts, keys)

    model = foolbox.PyTorchModel(network, bounds=(0, 1), device="cpu")
    with global_streams("foolbox", 5, "toy", 0, 2):
        expected, _, _ = foolbox.attacks.BoundaryAttack(steps=60)(
            model, images, labels, epsilons=None, starting_points=starts
        )
    assert torch.equal(found, expected)
    assert not torch.equal(found, starts)
    # One query for the starting points, one a step, one every tenth for the spherical step, one for the success.
    assert ((log.queries - asked_before) == 1 + 60 + 6 + 1).all()


def test_fixed_strength_attack_is_foolbox_called_directly():
    network, images = tiny_network(), some_images(5)
    labels, keys = decisions_of(network, images), keys_of(5)
    target, _ = attacked(network, images, labels, "gradients")
    attack = build_attack(entry("foolbox:LinfPGD", "gradients", "linf", steps=4))
    results = list(attack.perturb(target, images, labels, (0.0, 0.05), keys))
    model = foolbox.PyTorchModel(network, bounds=(0, 1), device="cpu")
    with global_streams("foolbox", 0, "toy", 0, 0):
        _, expected, _ = foolbox.attacks.LinfPGD(steps=4)(model, images, labels, epsilons=0.05)
    assert torch.equal(results[0], images)
    assert torch.equal(results[1], expected)


@pytest.mark.parametrize(
    ("attack", "parameters", "batch_size", "factor"),
    [
        ("foolbox:BoundaryAttack", {"steps": 5000}, 64, 1.01),
        ("foolbox:HopSkipJumpAttack", {"steps": 10}, 1, 1.05),
    ],
)
def test_decision_attacks_reach_the_distance_to_a_hyperplane(attack, parameters, batch_size, factor):
    network, images = Halfspace(distance=0.3), gray_images(4)
    examples = run_entry(entry(attack, **parameters), network, images, batch_size=batch_size, classes=2)
    ratio = examples["l2"].to_numpy() / network.distances(images).numpy()
    assert (ratio > 1 - 1e-4).all()
    assert (ratio < factor).all()
    assert not examples["failed"].any()


@pytest.mark.parametrize("attack", ["foolbox:BoundaryAttack", "art:HopSkipJump"])
def test_a_decision_attack_on_a_source_model_starts_there_and_asks_the_attacked_model_nothing(attack):
    source, network, images = Halfspace(distance=0.3), Counting(Halfspace(distance=0.2)), gray_images(4)
    parameters = {"steps": 5000} if attack == "foolbox:BoundaryAttack" else {"max_iter": 10}
    labels = decisions_of(network.network, images)
    examples = run_entry(entry(attack, "transfer", **parameters), network, images, labels, source, classes=2)
    assert (examples["queries"] == 0).all()
    assert network.asked == 4 + 4 * 4, "the clean decisions and the verdicts, nothing else"
    assert not examples["failed"].any()
    ratio = examples["l2"].to_numpy() / source.distances(images).numpy()
    assert (ratio > 1 - 1e-4).all()
    assert (ratio < 1.01 if attack == "foolbox:BoundaryAttack" else ratio < 1.35).all()


def test_a_gradient_attack_reaches_it_exactly():
    network, images = Halfspace(distance=0.3), gray_images(4)
    examples = run_entry(entry("foolbox:L2DeepFoolAttack", "gradients", overshoot=0.001), network, images, classes=2)
    np.testing.assert_allclose(examples["l2"], 1.001 * network.distances(images), rtol=2e-3)


@pytest.mark.parametrize(
    ("attack", "access", "strength", "parameters"),
    [
        ("foolbox:LinfPGD", "gradients", "linf", {"steps": 5}),
        ("foolbox:PGD", "gradients", "linf", {"steps": 5}),
        ("foolbox:L2PGD", "gradients", "l2", {"steps": 5}),
        ("foolbox:L2ClippingAwareAdditiveGaussianNoiseAttack", "decisions", "l2", {}),
        ("foolbox:LinearSearchBlendedUniformNoiseAttack", "decisions", "l2", {"steps": 50}),
        ("foolbox:SaltAndPepperNoiseAttack", "decisions", "l2", {"steps": 50}),
        ("foolbox:PointwiseAttack", "decisions", "l2", {}),
        ("foolbox:GaussianBlurAttack", "decisions", "l2", {"steps": 10}),
        ("foolbox:L2FMNAttack", "gradients", "l2", {"steps": 10}),
        ("foolbox:DDNAttack", "gradients", "l2", {"steps": 10}),
        ("foolbox:LinfFastGradientAttack", "transfer", "linf", {}),
    ],
)
def test_attacks_work_from_their_entry_alone(attack, access, strength, parameters):
    network, images = Quadrants(), some_images(4)
    source = Quadrants() if access == "transfer" else None
    spec = entry(attack, access, strength, **parameters)
    examples = run_entry(spec, network, images, source=source, strengths=(0.0, 0.3))
    again = run_entry(spec, network, images, source=source, strengths=(0.0, 0.3))
    assert examples.equals(again)
    assert (examples["strength"].isna() | (examples["failed"] == 0)).all()
    if "strength" in examples and examples["strength"].notna().all():
        strong = examples[examples["strength"] == 0.3]
        assert (strong[strength] <= 0.3 + 1e-4).all()
        assert (strong[strength] > 0.2).all()

"""An attack leaves no trace: not in a model, not in the random states."""

import random

import numpy as np
import pytest
import torch
from torch import nn

from robustbench_pix.attacks.base import FixedStrengthAttack
from robustbench_pix.attacks.querying.oracle import guarded
from robustbench_pix.errors import JobFailedError
from tests.attacks.toys import (
    Halfspace,
    Quadrants,
    entry,
    run_entry,
    some_images,
    tiny_network,
)


class Meddling(FixedStrengthAttack):
    """Does to the model whatever it is told, then returns the images."""

    def __init__(self, meddle):
        self.meddle = meddle

    def perturb(self, target, images, labels, strengths, keys):
        self.meddle(target, images)
        for _ in strengths:
            yield images


def state_of(network):
    return {name: value.clone() for name, value in network.state_dict().items()}


def same_state(network, before):
    return all(torch.equal(value, before[name]) for name, value in network.state_dict().items())


@pytest.mark.parametrize("training", [False, True])
def test_training_mode_is_refused_and_put_back(training):
    network, images = tiny_network().train(training), some_images(4)
    for parameter in network.parameters():
        parameter.requires_grad_(training)
    before = state_of(network)

    def train_and_ask(target, images):
        target.oracle.train()
        target.oracle(images)

    run_entry(entry("x", "decisions"), network, images, torch.zeros(4).long(), attack=Meddling(train_and_ask))
    assert same_state(network, before)
    assert network.training == training
    assert all(parameter.requires_grad == training for parameter in network.parameters())


def test_an_attack_that_changes_the_model_is_refused_and_undone():
    network, images = tiny_network(), some_images(4)
    before = state_of(network)

    def change_weights(target, images):
        with torch.no_grad():
            next(target.oracle.network.parameters()).add_(1)

    def change_statistics(target, images):
        target.oracle.network.train()
        target.oracle.network(images)

    for meddle in (change_weights, change_statistics):
        with pytest.raises(JobFailedError, match=r"the attack changed the model .* it was restored"):
            run_entry(entry("x", "decisions"), network, images, torch.zeros(4).long(), attack=Meddling(meddle))
        assert same_state(network, before)
        assert not network.training


def test_the_source_is_guarded_too():
    source, images = tiny_network(), some_images(4)
    before = state_of(source)

    def change_source(target, images):
        target.source.network.train()
        target.source(images)

    spec = entry("x", "transfer", "linf")
    with pytest.raises(JobFailedError, match="the attack changed the model"):
        run_entry(spec, Quadrants(), images, source=source, attack=Meddling(change_source))
    assert same_state(source, before)


def test_a_failing_attack_leaves_the_model_as_it_was():
    network = tiny_network().train()
    before = state_of(network)

    def fail():
        with guarded(network):
            nn.init.zeros_(network.linear.weight)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert same_state(network, before)
    assert network.training


@pytest.mark.parametrize(
    ("attack", "access", "strength", "parameters"),
    [
        ("gaussian-noise", "none", "sigma", {}),
        ("fast-gradient-sign", "gradients", "linf", {}),
        ("foolbox:LinfPGD", "gradients", "linf", {"steps": 3}),
        ("foolbox:BoundaryAttack", "decisions", "l2", {"steps": 20}),
        ("foolbox:PointwiseAttack", "decisions", "l2", {}),
        ("foolbox:LinearSearchBlendedUniformNoiseAttack", "decisions", "l2", {"steps": 20}),
        ("art:HopSkipJump", "decisions", "l2", {"max_iter": 1, "init_eval": 5}),
        ("art:SquareAttack", "scores", "l2", {"max_iter": 3}),
        ("art:AutoProjectedGradientDescent", "gradients", "linf", {"max_iter": 2, "nb_random_init": 1}),
        ("art:SimBA", "scores", "l2", {"max_iter": 4, "attack": "px"}),
    ],
)
def test_no_engine_touches_the_random_states(attack, access, strength, parameters):
    run_entry(entry(attack, access, strength, **parameters), Halfspace(), some_images(1), classes=2)
    before = random.getstate(), np.random.get_state(), torch.get_rng_state()
    run_entry(entry(attack, access, strength, **parameters), Halfspace(), some_images(2), classes=2)
    assert random.getstate() == before[0]
    np.testing.assert_equal(np.random.get_state(), before[1])
    assert torch.equal(torch.get_rng_state(), before[2])

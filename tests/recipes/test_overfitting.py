"""Catastrophic overfitting is told where it is, and telling it changes no training."""

import math

import pytest
import torch

from robustbench_pix.recipes.contract import Recipe
from robustbench_pix.recipes.fast_adversarial import FastAdversarial
from robustbench_pix.recipes.overfitting import OverfittingWatch
from robustbench_pix.recipes.tools import Tools
from tests.recipes.on_digits import tools_of, unregularized
from tests.recipes.test_contract import same_bits, trained
from tests.training.models import setting

EPS = 0.2


class Unwatched(FastAdversarial):
    begin, report = Recipe.begin, Recipe.report


@pytest.mark.parametrize("alignment", [0.0, 0.2])
def test_watching_changes_no_bit_of_the_training(alignment):
    plain, expected = trained(Unwatched(setting(), eps=EPS, step_size=0.25, alignment=alignment))
    net, found = trained(FastAdversarial(setting(), eps=EPS, step_size=0.25, alignment=alignment))
    assert same_bits(plain, net)
    assert all(torch.equal(value, found.state[name]) for name, value in expected.state.items())
    for row, unwatched in zip(found.log, expected.log, strict=True):
        assert set(row) - set(unwatched) == {"one_step_accuracy", "five_step_accuracy"}
        assert {name: row[name] for name in unwatched} == unwatched


def test_watching_moves_neither_statistics_nor_random_numbers():
    net = unregularized().train()
    before = {name: value.clone() for name, value in net.state_dict().items()}
    tools, untouched, state = tools_of(net), tools_of(net), torch.get_rng_state()
    OverfittingWatch("it", EPS, 0.25).look(tools, 0)
    assert all(torch.equal(before[name], value) for name, value in net.state_dict().items())
    assert all(parameter.grad is None for parameter in net.parameters())
    assert net.training
    assert torch.equal(state, torch.get_rng_state())
    draws = [one.uniform((9,), "fast-adversarial-start") for one in (tools, untouched)]
    assert torch.equal(*draws)


class Wave(torch.nn.Module):
    """Answers wrong at distances of a quarter to three quarters of EPS from the image, right elsewhere."""

    def forward(self, images):
        margin = torch.cos(2 * math.pi * (images.flatten(1) - 128 / 255) / EPS)
        return torch.cat([margin, -margin], dim=1)


def test_overfitting_is_told_once_by_both_accuracies(caplog):
    """One step of 1.25 EPS passes over the hill of the loss from half of the starting points, five steps climb it."""
    images = {"task": torch.full((500, 1, 1, 1), 128, dtype=torch.uint8)}
    tools = Tools(Wave(), images, lambda images: images / 255, 0, torch.zeros(500, dtype=torch.int64))
    start = EPS * (2 * tools.uniform((128, 1, 1, 1), "overfitting-start") - 1)
    watch = OverfittingWatch("fast-adversarial on digits, seed 3,", EPS, 1.25 * EPS)
    told = watch.look(tools, 6)
    right = float((start.abs() < EPS / 2).double().mean())
    assert told == {"one_step_accuracy": pytest.approx(right, abs=0.02), "five_step_accuracy": 0.0}
    (sentence,) = caplog.messages
    assert sentence.startswith("Catastrophic overfitting of fast-adversarial on digits, seed 3, in epoch 7: ")
    assert f"{100 * told['one_step_accuracy']:.0f}% of training images" in sentence
    watch.look(tools, 7)
    assert len(caplog.messages) == 1


def test_a_network_that_does_not_overfit_is_not_accused(caplog):
    told = OverfittingWatch("it", 0.02, 0.025).look(tools_of(unregularized(3)), 0)
    assert told["one_step_accuracy"] - told["five_step_accuracy"] < 0.1
    assert told["five_step_accuracy"] > 0.5
    assert caplog.messages == []

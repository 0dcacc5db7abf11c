"""Recipes that train on perturbations of the images."""

import copy

import numpy as np
import pytest
import torch
from torch.nn import functional

from robustbench_pix.catalogue.registries import attacks, regularizers
from robustbench_pix.catalogue.tuned import TuningScope
from robustbench_pix.catalogue.workspace import Workspace
from robustbench_pix.errors import UserError
from robustbench_pix.recipes.adversarial import Adversarial, RandomSigns
from robustbench_pix.recipes.contract import Batch, Recipe, Step
from robustbench_pix.recipes.fast_adversarial import FastAdversarial
from robustbench_pix.recipes.trades import GaussianTrades, Trades, divergence
from tests.recipes.on_digits import BATCH, unregularized
from tests.recipes.test_contract import tools_of
from tests.recipes.test_mixing import assert_plain
from tests.training.models import setting

EPS = 0.1
RECIPES = {
    "adversarial": lambda: Adversarial(setting(), eps=EPS, steps=3, step_size=0.05),
    "random-signs": lambda: RandomSigns(setting(), eps=EPS, steps=3, step_size=0.05),
    "fast-adversarial": lambda: FastAdversarial(setting(), eps=EPS, step_size=0.125),
    "trades": lambda: Trades(setting(), eps=EPS, steps=3, step_size=0.05),
}


@pytest.fixture(scope="module")
def net():
    return unregularized(3).train()


def perturbed(name, net):
    batch = RECIPES[name]().batch(BATCH, tools_of(net))
    return batch.images.chunk(batch.views)[-1]


def losses(net, images):
    with torch.no_grad():
        return functional.cross_entropy(copy.deepcopy(net).eval()(images), BATCH.targets, reduction="none")


@pytest.mark.parametrize("name", sorted(RECIPES))
def test_perturbations_stay_in_the_ball_and_move_no_statistics(name, net):
    before = copy.deepcopy(net.state_dict())
    images = perturbed(name, net)
    assert float((images - BATCH.images).abs().max()) <= EPS + 1e-6
    assert float((images - BATCH.images).abs().mean()) > 0.02
    assert 0 <= float(images.min()) <= float(images.max()) <= 1
    assert net.training
    assert all(torch.equal(value, net.state_dict()[part]) for part, value in before.items())
    assert all(parameter.grad is None for parameter in net.parameters())


@pytest.mark.parametrize("name", ["adversarial", "fast-adversarial"])
def test_perturbations_raise_the_loss(name, net):
    risen = losses(net, perturbed(name, net)) >= losses(net, BATCH.images)
    assert float(risen.float().mean()) >= 0.95
    random = losses(net, perturbed("random-signs", net))
    assert float(losses(net, perturbed(name, net)).mean()) > 1.2 * float(random.mean())


def test_perturbations_of_trades_raise_the_divergence(net):
    tools, images = tools_of(net), perturbed("trades", net)
    with torch.no_grad():
        clean, found = tools.logits(BATCH.images), tools.logits(images)
        noisy = tools.logits(GaussianTrades(setting(), eps=EPS).perturbed(BATCH.images, tools))
    assert float(divergence(clean, found)) > 2 * float(divergence(clean, noisy)) > 0


def test_random_signs_keep_the_sizes(net):
    own, other = (perturbed(name, net) - BATCH.images for name in ("adversarial", "random-signs"))
    inside = (BATCH.images > EPS) & (BATCH.images < 1 - EPS)
    torch.testing.assert_close(own[inside].abs(), other[inside].abs(), rtol=0, atol=1e-6)
    assert float((own[inside].sign() == other[inside].sign()).float().mean()) == pytest.approx(0.5, abs=0.03)


def test_one_step_is_numpys(net):
    """A single step without a random start, from numerical differences of the loss."""
    single = copy.deepcopy(net).double()
    images = BATCH.images[:2].double()
    recipe = FastAdversarial(setting(), eps=0.03, step_size=0.02)
    tools = tools_of(single)
    tools.uniform = lambda shape, purpose: torch.full(shape, 0.5)
    found = recipe.batch(Batch(images, BATCH.targets[:2]), tools).images
    single.eval()
    for place in range(64):
        moved = torch.zeros(64, dtype=torch.float64)
        moved[place] = 1e-6
        ends = [
            functional.cross_entropy(single(images + side * moved.view(8, 8)), BATCH.targets[:2], reduction="none")
            for side in (1, -1)
        ]
        expected = (images.flatten(1)[:, place] + 0.02 * (ends[0] - ends[1]).sign().detach()).clamp(0, 1)
        torch.testing.assert_close(found.flatten(1)[:, place], expected)


def test_trades_without_beta_is_plain():
    assert_plain(Trades(setting(), beta=0.0))


def test_the_loss_of_trades_is_numpys():
    generator = np.random.default_rng(0)
    logits = generator.normal(size=(2, 7, 5))
    targets = np.arange(7) % 5
    first, second = (np.exp(part) / np.exp(part).sum(axis=1, keepdims=True) for part in logits)
    expected = -np.log(first[np.arange(7), targets]).mean() + 2.5 * (first * np.log(first / second)).sum() / 7
    step = Step(logits=torch.from_numpy(logits).flatten(0, 1), targets=torch.from_numpy(targets), views=2)
    assert float(Trades(setting(), beta=2.5).loss(step)) == pytest.approx(expected, rel=1e-9)


def test_gradient_alignment_is_the_angle_of_two_gradients(net):
    recipe, tools = FastAdversarial(setting(), eps=EPS, step_size=0.125, alignment=0.2), tools_of(net)
    batch = recipe.batch(BATCH, tools)
    perturbed_images, images, around = batch.images.chunk(batch.views)
    assert recipe.double_backward
    assert torch.equal(perturbed_images, perturbed("fast-adversarial", net))
    assert torch.equal(images, BATCH.images)
    assert 0.03 < float((around - images).abs().mean()) < float((around - images).abs().max()) <= EPS + 1e-6
    gradients = [
        tools.gradient(part, lambda logits: functional.cross_entropy(logits, BATCH.targets, reduction="sum"))
        .flatten(1)
        .numpy()
        for part in (images, around)
    ]
    cosines = (gradients[0] * gradients[1]).sum(axis=1) / np.prod(
        [np.linalg.norm(part, axis=1) for part in gradients], axis=0
    )
    leaf = batch.images.detach().requires_grad_()
    logits = tools.logits(leaf)
    loss = recipe.loss(Step(logits=logits, targets=batch.targets, images=leaf, views=3))
    plain = functional.cross_entropy(logits[:100], BATCH.targets)
    assert float((loss - plain).detach()) == pytest.approx(0.2 * (1 - cosines.mean()), rel=1e-4)


@pytest.mark.parametrize(
    ("name", "parameters"),
    [
        ("adversarial", {"eps": 1.5}),
        ("adversarial", {"steps": 0}),
        ("adversarial", {"steps": 2.5}),
        ("random-signs", {"step_size": -0.1}),
        ("fast-adversarial", {"eps": -0.1}),
        ("fast-adversarial", {"alignment": -1}),
        ("trades", {"beta": -1}),
        ("gaussian-trades", {"eps": "much"}),
    ],
)
def test_a_parameter_out_of_range_is_one_sentence(name, parameters):
    with pytest.raises(UserError, match=rf"{next(iter(parameters))} must be .*\(got "):
        regularizers.load(name).check(parameters, None, 0)


def test_what_a_recipe_is_trained_on_are_registered_attacks():
    declared = {name: regularizers.load(name).trained_on for name in regularizers.shipped}
    assert set().union(*declared.values()) <= set(attacks.shipped)
    assert {name for name, names in declared.items() if names} == {
        "noise-trained",
        "adversarial",
        "fast-adversarial",
        "trades",
        "gaussian-trades",
    }
    assert Recipe.trained_on == ()


@pytest.mark.parametrize(("control", "claim"), [("random-signs", "adversarial"), ("gaussian-trades", "trades")])
def test_a_control_of_another_kind_has_the_parameters_of_its_claim(control, claim, tmp_path):
    workspace = Workspace(tmp_path)
    for task in ("digits", "mnist", "fashionmnist", "cifar10"):
        assert workspace.recipe(control).penalty(TuningScope(task, "natural")) == workspace.recipe(claim).penalty(
            TuningScope(task, "natural")
        )
    assert workspace.recipe(claim).penalty(TuningScope("digits", "digits")).parameters["steps"] == 3

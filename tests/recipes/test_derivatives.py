"""Recipes whose penalty is a derivative by the image."""

import numpy as np
import pytest
import torch
from torch.autograd import gradcheck, gradgradcheck
from torch.nn import functional

from robustbench_pix.catalogue.registries import regularizers
from robustbench_pix.errors import UserError
from robustbench_pix.recipes.contract import Batch, Step
from robustbench_pix.recipes.curvature import Curvature
from robustbench_pix.recipes.fast_adversarial import misalignment
from robustbench_pix.recipes.input_gradient import InputGradient
from robustbench_pix.recipes.jacobian import Jacobian
from robustbench_pix.recipes.local_linearity import LocalLinearity
from tests.recipes.on_digits import BATCH, CONTEXT, penalty_of, step_of, tools_of, trained, unregularized
from tests.recipes.test_mixing import assert_plain
from tests.training.models import setting

FEW = Batch(BATCH.images[:4].double(), BATCH.targets[:4])


@pytest.fixture(scope="module")
def net():
    return unregularized(3).double()


def local_linearity(**changes):
    return LocalLinearity(setting(), **{"eps": 0.1, "steps": 3, "step_size": 0.05, **changes})


def losses(net, images):
    with torch.no_grad():
        return functional.cross_entropy(net(images), FEW.targets, reduction="none")


def gradients(net, images):
    leaf = images.detach().requires_grad_()
    loss = functional.cross_entropy(net(leaf), FEW.targets, reduction="sum")
    return torch.autograd.grad(loss, leaf)[0].flatten(1).numpy()


def test_the_mean_over_projections_is_the_norm_of_the_jacobian(net):
    """Of the whole Jacobian by torch, K times each of its rows alone, and 1000 random projections."""
    jacobian = torch.autograd.functional.jacobian(lambda images: net(images).sum(dim=0), FEW.images)
    squared = float(jacobian.square().sum()) / (2 * len(FEW.images))
    step = step_of(Jacobian(CONTEXT), net, FEW)
    recipe = Jacobian(CONTEXT, projections=10)
    recipe.directions = torch.eye(10, dtype=torch.float64)[:, None].expand(10, len(FEW.images), 10)
    assert float(recipe.penalty(step).detach()) == pytest.approx(squared, rel=1e-9)
    many = Jacobian(CONTEXT, projections=1000)
    assert penalty_of(many, net, FEW) == pytest.approx(squared, rel=0.1)
    assert many.directions.norm(dim=2).allclose(torch.ones(1))


def test_directions_are_drawn_anew_at_every_step(net):
    recipe, tools = Jacobian(CONTEXT, projections=2), tools_of(net)
    recipe.batch(FEW, tools)
    first = recipe.directions
    tools.steps_taken += 1
    recipe.batch(FEW, tools)
    assert first.shape == (2, 4, 10)
    assert not (first == recipe.directions).any()


def test_curvature_is_the_difference_of_two_gradients(net):
    signs = np.sign(gradients(net, FEW.images))
    moved = FEW.images.flatten(1).numpy() + 0.4 * signs / np.linalg.norm(signs, axis=1, keepdims=True)
    step = step_of(Curvature(setting(), h=0.4), net, FEW)
    np.testing.assert_allclose(step.images[4:].flatten(1).detach().numpy(), moved, atol=1e-7)
    difference = gradients(net, step.images[4:]) - gradients(net, FEW.images)
    assert penalty_of(Curvature(setting(), h=0.4), net, FEW) == pytest.approx((difference**2).sum() / 4, rel=1e-6)


def test_local_linearity_is_the_gap_to_the_tangent(net):
    recipe = local_linearity(slope=0.5)
    step = step_of(recipe, net, FEW)
    moved = step.images[4:].detach()
    assert float((moved - FEW.images).abs().max()) <= 0.1 + 1e-6
    assert 0 <= float(moved.min()) <= float(moved.max()) <= 1
    linear = (gradients(net, FEW.images) * (moved - FEW.images).flatten(1).numpy()).sum(axis=1)
    gap = (losses(net, moved) - losses(net, FEW.images)).numpy() - linear
    expected = (np.abs(gap) + 0.5 * np.abs(linear)).mean()
    assert float(recipe.penalty(step).detach()) == pytest.approx(expected, rel=1e-9)


def test_the_ascent_of_local_linearity_widens_the_gap():
    """From its random start, and beyond that of as many random points."""
    net = unregularized(3)
    widest = penalty_of(local_linearity(slope=0), net)
    start = penalty_of(local_linearity(slope=0, steps=1, step_size=0.0), net)
    assert widest > 1.5 * start > 0


@pytest.mark.parametrize("recipe", [lambda: Curvature(setting()), local_linearity])
def test_without_the_penalty_one_view_is_left(recipe):
    dropped = recipe()
    dropped.penalizes = dropped.double_backward = False
    assert_plain(dropped)


WEIGHTS = [torch.randn(3, 9, generator=torch.Generator().manual_seed(0), dtype=torch.float64) / 4,
           torch.randn(10, 3, generator=torch.Generator().manual_seed(1), dtype=torch.float64)]  # fmt: skip


def smooth_step(first, second, views, images=FEW.images[:3, :, 2:5, 2:5]):
    images = torch.cat([images + 0.05 * view * images.sin() for view in range(views)]).requires_grad_()
    logits = functional.softplus(images.flatten(1) @ first.T) @ second.T
    return Step(logits=logits, targets=FEW.targets[:3], images=images, views=views)


def jacobian_penalty(step):
    recipe, generator = Jacobian(CONTEXT, projections=2), torch.Generator().manual_seed(2)
    recipe.directions = torch.randn(2, 3, 10, generator=generator, dtype=torch.float64)
    return recipe.penalty(step)


PENALTIES = {
    "input-gradient": (1, lambda step: InputGradient(setting()).penalty(step)),
    "jacobian": (1, jacobian_penalty),
    "curvature": (2, lambda step: Curvature(setting()).penalty(step)),
    "local-linearity": (2, lambda step: local_linearity(slope=0.5).penalty(step)),
    "gradient-alignment": (3, lambda step: misalignment(step.logits[3:], step)),
}


@pytest.mark.parametrize("name", sorted(PENALTIES))
def test_derivatives_by_the_weights_are_those_of_numerical_differences(name):
    views, penalty = PENALTIES[name]
    weights = [weight.clone().requires_grad_() for weight in WEIGHTS]
    assert gradcheck(lambda *weights: penalty(smooth_step(*weights, views)), weights)
    assert gradgradcheck(lambda second: penalty(smooth_step(WEIGHTS[0], second, views)), weights[1:])


@pytest.mark.parametrize(
    ("recipe", "alpha"),
    [
        (lambda: InputGradient(setting()), 0.1),
        (lambda: Jacobian(CONTEXT, projections=4), 0.01),
        (lambda: Curvature(setting(), h=0.4), 0.1),
        (local_linearity, 1.0),
    ],
)
def test_epochs_on_digits_lower_the_own_penalty(recipe, alpha):
    """On a fixed batch, beside as many unregularized epochs; three, since derivatives are small in the first."""
    with_it, without = trained(recipe(), epochs=3, alpha=alpha), unregularized(3)
    assert penalty_of(recipe(), with_it) < 0.7 * penalty_of(recipe(), without)


@pytest.mark.parametrize(
    ("name", "parameters"),
    [
        ("jacobian", {"projections": 0}),
        ("curvature", {"h": 0}),
        ("local-linearity", {"slope": -1}),
        ("local-linearity", {"eps": 2}),
        ("local-linearity", {"steps": 0}),
    ],
)
def test_a_parameter_out_of_range_is_one_sentence(name, parameters):
    with pytest.raises(UserError, match=rf"{next(iter(parameters))} must be .*\(got "):
        regularizers.load(name).check(parameters, None, 0)

"""Recipes whose penalty is of weights alone."""

import numpy as np
import pytest
import torch
from torch import nn
from torch.autograd import gradcheck
from torch.nn import functional

from robustbench_pix.catalogue.registries import regularizers
from robustbench_pix.errors import UserError
from robustbench_pix.recipes.contract import RecipeContext, Step
from robustbench_pix.recipes.parseval import Parseval, distance_from_isometry
from robustbench_pix.recipes.spectral_norm import SpectralNorm, convolution
from tests.recipes.on_digits import CONTEXT, tools_of, trained, unregularized
from tests.training.models import setting


@pytest.fixture(scope="module")
def net():
    return unregularized().double()


def weights_of(net):
    return {name: value for name, value in net.named_parameters() if value.ndim > 1}


def converged(recipe, net, steps=400):
    """Return the penalty after many power steps on the same weights."""
    recipe.begin(0, tools_of(net))
    for _ in range(steps):
        penalty = recipe.penalty(Step(weights=weights_of(net)))
    return float(penalty.detach())


def matrix_of(layer, shape):
    """Return a convolution as a matrix, column by column."""
    columns = torch.eye(shape[0] * shape[1] * shape[2], dtype=torch.float64).view(-1, *shape)
    images = functional.conv2d(columns, layer.weight.double(), None, layer.stride, layer.padding)
    return images.flatten(1).T.detach().numpy()


def test_the_spectral_norms_are_numpys(net):
    norms = [np.linalg.svd(value.detach().flatten(1).numpy())[1][0] for value in weights_of(net).values()]
    assert converged(SpectralNorm(CONTEXT), net) == pytest.approx(sum(norm**2 for norm in norms) / 2, rel=1e-4)
    without_head = converged(SpectralNorm(CONTEXT, layers="representation"), net)
    assert without_head == pytest.approx(sum(norm**2 for norm in norms[:-1]) / 2, rel=1e-4)


def test_the_norms_of_convolutions_are_those_of_their_matrices(net):
    shapes, hooks = {}, []
    for name, module in net.named_modules():
        if isinstance(module, nn.Conv2d):
            hooks.append(
                module.register_forward_pre_hook(
                    lambda layer, inputs, name=name: shapes.update({name: (layer, inputs[0].shape[1:])})
                )
            )
    net(torch.zeros(1, 1, 8, 8, dtype=torch.float64))
    for hook in hooks:
        hook.remove()
    norms = [np.linalg.svd(matrix_of(*found), compute_uv=False)[0] for found in shapes.values()]
    recipe = SpectralNorm(CONTEXT, layers="representation", operator="convolution")
    assert converged(recipe, net) == pytest.approx(sum(norm**2 for norm in norms) / 2, rel=1e-3)
    assert any(layer.stride == (2, 2) for layer, _ in shapes.values())
    assert set(recipe.layers) == {f"{name}.weight" for name in shapes}


def test_the_norm_of_a_convolution_is_below_its_largest_frequency():
    """Zero padding loses energy that the circular convolution, whose norm a Fourier transform gives, keeps."""
    layer = nn.Conv2d(2, 3, 3, padding=1, bias=False).double()
    spectrum = np.fft.fft2(layer.weight.detach().numpy(), (16, 16))
    circular = np.linalg.svd(spectrum.transpose(2, 3, 0, 1), compute_uv=False).max()
    zero_padded = np.linalg.svd(matrix_of(layer, (2, 16, 16)), compute_uv=False)[0]
    assert 0.9 * circular < zero_padded <= circular + 1e-9
    maps = torch.randn(1, 2, 16, 16, dtype=torch.float64)
    expected = matrix_of(layer, (2, 16, 16)) @ maps.flatten().numpy()
    np.testing.assert_allclose(convolution(layer)(layer.weight, maps).detach().flatten().numpy(), expected)


def test_the_derivative_of_a_spectral_norm_is_that_of_the_singular_value(net):
    recipe, head = SpectralNorm(CONTEXT), net.linear.weight
    recipe.begin(0, tools_of(net))
    for _ in range(3000):
        recipe.layers["linear.weight"].power_step(head)
    (found,) = torch.autograd.grad(recipe.penalty(Step(weights=weights_of(net))), head)
    left, values, right = np.linalg.svd(head.detach().numpy(), full_matrices=False)
    np.testing.assert_allclose(found.numpy(), values[0] * np.outer(left[:, 0], right[0]), atol=1e-6)


def test_one_power_step_a_training_step_follows_the_weights():
    network = trained(recipe := SpectralNorm(CONTEXT), epochs=1, alpha=0.01)
    norms = [np.linalg.svd(value.detach().flatten(1).numpy())[1][0] for value in weights_of(network).values()]
    found = float(recipe.penalty(Step(weights=weights_of(network))).detach())
    assert 0.9 < found / (sum(norm**2 for norm in norms) / 2) < 1 + 1e-6


@pytest.mark.parametrize(("epoch", "begun"), [(0, False), (7, False), (8, True), (9, True)])
def test_the_penalty_begins_after_the_burn_in(epoch, begun, net):
    context = RecipeContext(CONTEXT.images, (), 0, classes=10, steps_per_epoch=18, epochs=10)
    recipe = SpectralNorm(context, burn_in=0.8)
    recipe.begin(0, tools_of(net))
    recipe.begin(epoch, tools_of(net))
    assert bool(recipe.penalty(Step(weights=weights_of(net))) > 0) is begun


def test_finding_the_layers_moves_no_statistics():
    network = unregularized().train()
    before = {name: value.clone() for name, value in network.state_dict().items()}
    SpectralNorm(CONTEXT, operator="convolution").begin(0, tools_of(network))
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())
    assert not any(module._forward_pre_hooks for module in network.modules())


def test_parseval_is_numpys(net):
    total = 0.0
    for value in weights_of(net).values():
        rows = value.detach().flatten(1).numpy()
        singular = np.linalg.svd(rows, compute_uv=False)
        total += ((singular**2 - 1) ** 2).sum()
    penalty = Parseval(setting()).penalty(Step(weights=weights_of(net)))
    assert float(penalty.detach()) == pytest.approx(total / 2, rel=1e-9)


@pytest.mark.parametrize("shape", [(3, 5), (5, 3), (4, 4)])
def test_orthonormal_rows_or_columns_have_no_distance(shape):
    generator = torch.Generator().manual_seed(0)
    matrix = torch.randn(shape, generator=generator, dtype=torch.float64, requires_grad=True)
    left, _, right = torch.linalg.svd(matrix.detach(), full_matrices=False)
    assert float(distance_from_isometry(left @ right)) < 1e-24
    assert gradcheck(distance_from_isometry, (matrix,))


def test_the_retraction_of_the_paper_is_a_gradient_step():
    matrix = torch.randn(3, 5, generator=torch.Generator().manual_seed(0), dtype=torch.float64, requires_grad=True)
    (gradient,) = torch.autograd.grad(distance_from_isometry(matrix) / 2, matrix)
    share = 0.01
    retracted = (1 + share) * matrix - share * matrix @ matrix.T @ matrix
    torch.testing.assert_close(retracted, matrix - share / 2 * gradient)


@pytest.mark.parametrize(
    ("recipe", "alpha"),
    [
        (lambda: SpectralNorm(CONTEXT), 0.3),
        (lambda: SpectralNorm(CONTEXT, layers="representation", operator="convolution"), 0.1),
    ],
)
def test_an_epoch_on_digits_lowers_the_spectral_norms(recipe, alpha):
    with_it, without = trained(recipe(), alpha=alpha), unregularized()
    assert converged(recipe(), with_it, steps=100) < 0.9 * converged(recipe(), without, steps=100)


def test_an_epoch_on_digits_lowers_the_penalty_of_parseval():
    recipe = Parseval(setting())
    with_it, without = (
        float(recipe.penalty(Step(weights=weights_of(net))).detach())
        for net in (trained(recipe, alpha=0.1), unregularized())
    )
    assert with_it < 0.8 * without


@pytest.mark.parametrize("parameters", [{"layers": "some"}, {"operator": "fourier"}, {"burn_in": 1.1}])
def test_a_parameter_out_of_range_is_one_sentence(parameters):
    with pytest.raises(UserError, match=rf"{next(iter(parameters))} must be .*\(got "):
        regularizers.load("spectral-norm").check(parameters, None, 0)

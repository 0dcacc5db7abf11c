import colorsys
import math

import numpy as np
import pytest
import torch
from torchvision.transforms.v2 import functional as torchvision_functional

from robustbench_pix.attacks.gradient.composite import hue_turned, saturated


def images_of(count, dtype=torch.float32, side=6):
    return torch.rand(count, 3, side, side, dtype=dtype, generator=torch.Generator().manual_seed(2))


def by_pixel(images, change):
    """Change the (hue, saturation, value) of every pixel by Python's own formulas."""
    result = np.empty_like(images)
    for number, row, column in np.ndindex(images.shape[0], *images.shape[2:]):
        hsv = colorsys.rgb_to_hsv(*images[number, :, row, column].tolist())
        result[number, :, row, column] = colorsys.hsv_to_rgb(*change(number, *hsv))
    return result


def test_hue_is_turned_as_colorsys_turns_it():
    images = images_of(6)
    images[0, 1] = images[0, 0]  # Two channels are the largest, or the smallest.
    images[1, 2] = images[1, 1]
    angles = torch.tensor([-math.pi, -2.0, -0.3, 0.4, 1.7, math.pi])
    turns = (angles / (2 * math.pi)).tolist()
    expected = by_pixel(images.numpy(), lambda number, h, s, v: ((h + turns[number]) % 1, s, v))
    np.testing.assert_allclose(hue_turned(images, angles), expected, atol=1e-5)


def test_hue_is_turned_as_torchvision_turns_it():
    images = images_of(4)
    for share in (-0.5, -0.2, 0.1, 0.35):
        got = hue_turned(images, torch.full((4,), 2 * math.pi * share))
        torch.testing.assert_close(got, torchvision_functional.adjust_hue(images, share), atol=1e-5, rtol=0)


def test_saturation_is_multiplied_as_colorsys_multiplies_it():
    images = images_of(5)
    factors = torch.tensor([0.0, 0.7, 1.0, 1.3, 3.0])
    expected = by_pixel(images.numpy(), lambda number, h, s, v: (h, min(1, s * factors[number].item()), v))
    np.testing.assert_allclose(saturated(images, factors), expected, atol=1e-5)


def test_gray_and_black_pixels_have_no_colour_to_change():
    gray = torch.linspace(0, 1, 16).reshape(1, 1, 4, 4).expand(2, 3, 4, 4)
    amounts = torch.tensor([0.5, 2.0])
    assert torch.equal(hue_turned(gray, amounts), gray)
    assert torch.equal(saturated(gray, amounts), gray)


@pytest.mark.parametrize("function", [hue_turned, saturated])
def test_derivatives_are_those_of_differences(function):
    images = images_of(3, torch.float64, side=3).requires_grad_()
    amounts = torch.tensor([0.2, 0.9, 1.1], dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(function, (images, amounts))


@pytest.mark.parametrize("function", [hue_turned, saturated])
def test_derivatives_of_gray_pixels_are_finite(function):
    images, amounts = torch.zeros(1, 3, 2, 2, requires_grad=True), torch.ones(1, requires_grad=True)
    for slope in torch.autograd.grad(function(images, amounts).sum(), (images, amounts)):
        assert slope.isfinite().all()

"""Hue and saturation of RGB images as in the HSV colour model (Smith 1978), without leaving RGB; differentiable."""

import math

import torch
from torch import Tensor

from robustbench_pix.attacks.geometry import spread


def hue_turned(images: Tensor, radians: Tensor) -> Tensor:
    """Return RGB images (N, 3, H, W) whose hues are turned by an angle (N,); 2 pi is the whole circle."""
    value, chroma = _value_and_chroma(images)
    red, green, blue = images.unbind(dim=1)
    largest, spans = value[:, 0], torch.where(chroma > 0, chroma, 1)[:, 0]
    from_green = torch.where(largest == green, 2 + (blue - red) / spans, 4 + (red - green) / spans)
    sextants = torch.where(largest == red, (green - blue) / spans, from_green)
    sextants = sextants + (radians * (3 / math.pi))[:, None, None]
    # How far a channel is below the largest, as a share of the chroma, is the same trapezoid of hue for all three.
    places = torch.stack([sextants + 5, sextants + 3, sextants + 1], dim=1).remainder(6)
    return value - chroma * torch.minimum(places, 4 - places).clamp(0, 1)


def saturated(images: Tensor, factors: Tensor) -> Tensor:
    """Return RGB images (N, 3, H, W) whose saturations are multiplied by a factor of at least 0 (N,), up to 1."""
    value, chroma = _value_and_chroma(images)
    full = value / torch.where(chroma > 0, chroma, 1)
    return value - (value - images) * torch.minimum(spread(factors), torch.where(chroma > 0, full, 1))


def _value_and_chroma(images: Tensor) -> tuple[Tensor, Tensor]:
    value = images.amax(dim=1, keepdim=True)
    return value, value - images.amin(dim=1, keepdim=True)

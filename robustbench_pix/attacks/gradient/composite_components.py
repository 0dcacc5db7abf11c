"""Components of the composite attack, with the ranges of Hsiung et al. 2023 (arXiv 2202.04235) for CIFAR-10.

Hue and saturation are those of the HSV colour model (Smith 1978), computed in RGB, and differentiable.
"""

import math
from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from robustbench_pix.attacks.common.norms import spread
from robustbench_pix.attacks.transforms.geometric import rotated


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


class Component(NamedTuple):
    """A perturbation with one offset an image (or entry); offset 0 changes nothing.

    Attributes:
        apply: takes images (N, C, H, W) in [0, 1] and offsets, returns images in [0, 1]; differentiable in both.
        reach: offsets are in [-reach, reach] at scale 1.
        entrywise: whether offsets are (N, C, H, W), one for each entry, and not (N,).
    """

    apply: Callable[[Tensor, Tensor], Tensor]
    reach: float
    entrywise: bool = False


def _saturation(images: Tensor, offsets: Tensor) -> Tensor:
    return saturated(images, 1 + offsets)


def _brightness(images: Tensor, offsets: Tensor) -> Tensor:
    return (images + spread(offsets)).clamp(0, 1)


def _contrast(images: Tensor, offsets: Tensor) -> Tensor:
    return (images * spread(1 + offsets)).clamp(0, 1)


def _noise(images: Tensor, offsets: Tensor) -> Tensor:
    return (images + offsets).clamp(0, 1)


OF_COLOUR = Component(hue_turned, math.pi), Component(_saturation, 0.3)
"""Hue and saturation; on a gray image they have no effect."""

OF_ALL = (
    Component(rotated, 10.0),
    Component(_brightness, 0.2),
    Component(_contrast, 0.3),
    Component(_noise, 8 / 255, entrywise=True),
)
"""Rotation in degrees, brightness, contrast (the paper's: a factor of the whole image) and noise bounded in linf."""


def components_of(channels: int) -> tuple[Component, ...]:
    """Return the components for images with this number of channels, in the paper's order."""
    return OF_ALL if channels == 1 else OF_COLOUR + OF_ALL

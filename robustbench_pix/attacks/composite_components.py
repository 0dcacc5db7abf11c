"""What a composite attack is composed of, with the ranges of Hsiung et al. 2023 (arXiv 2202.04235) for CIFAR-10."""

import math
from collections.abc import Callable
from typing import NamedTuple

from torch import Tensor

from robustbench_pix.attacks.colour import hue_turned, saturated
from robustbench_pix.attacks.geometry import spread
from robustbench_pix.attacks.warping import rotated


class Component(NamedTuple):
    """A change of images by an offset of its own for each image; at offset 0 there is none.

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
    """Return the components for images of so many channels, in the paper's order."""
    return OF_ALL if channels == 1 else OF_COLOUR + OF_ALL

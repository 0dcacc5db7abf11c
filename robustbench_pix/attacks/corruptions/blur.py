"""The blurs of CIFAR-10-C.

Defocus and glass blur reach a pixel or two, whatever the size of the image: shorter they would be nothing. The length
of a motion blur is carried to other sizes (see ``carried``), and a zoom has none.
"""

import math

import numpy as np
import torch
from torch import Tensor

from robustbench_pix.attacks.corruptions.filters import (
    Draws,
    blurred,
    carried,
    correlated,
    gaussian_weights,
    motion_blurred,
    moved,
    sum_of,
    zoomed,
)

DEFOCUS = (0.3, 0.4), (0.4, 0.5), (0.5, 0.6), (1.0, 0.2), (1.5, 0.1)
"""Radius of the disk, and sigma of the Gaussian that smooths its edge; pixels."""

GLASS = (0.05, 1), (0.25, 1), (0.4, 1), (0.25, 2), (0.4, 2)
"""Sigma in pixels of the blur before and after, and how often pixels are displaced."""

MOTION = (6, 1.0), (6, 1.5), (6, 2.0), (8, 2.0), (9, 2.5)
"""Radius and sigma, pixels; 3 and 4 differ only in the tail of the Gaussian, by less than rounding."""

ZOOM = 1.06, 1.11, 1.16, 1.21, 1.26
"""Where the enlargements by 1, 1.01 and so on end; as steps of a float the first two are reached, the others not."""


def defocus_blur(images: Tensor, severity: int, draws: Draws) -> Tensor:
    """Average over a disk of pixels whose edge a 3x3 Gaussian smooths; mirrored at the image's edge."""
    radius, smoothing = DEFOCUS[severity - 1]
    weights = gaussian_weights(smoothing, 1)
    smooth = correlated(correlated(images, weights, -2, "mirror"), weights, -1, "mirror")
    reach = range(-math.floor(radius), math.floor(radius) + 1)
    disk = [(row, column) for row in reach for column in reach if row**2 + column**2 <= radius**2]
    return sum_of([(1 / len(disk), moved(smooth, row, column, "mirror")) for row, column in disk])


def glass_blur(images: Tensor, severity: int, draws: Draws) -> Tensor:
    """Blur, let pixels be those a step up, left or both, and blur again.

    The published code means to swap both pixels but, where a pixel has channels, writes the one over the other; the
    files of CIFAR-10-C were made so, and so it is done here. It leaves out the first two rows and columns.
    """
    sigma, times = GLASS[severity - 1]
    glass = blurred(images, sigma, truncate=4, edge="nearest")
    height, width = images.shape[-2:]
    inner = images.new_zeros(height, width, dtype=torch.bool)
    inner[2:, 2:] = True
    for time in range(times):
        up, left = (draws.uniform(2 * time + axis, 1, height, width) < 0.5 for axis in (0, 1))
        risen = torch.where(up & inner, moved(glass, -1, 0, "nearest"), glass)
        corner = torch.where(up & inner, moved(glass, -1, -1, "nearest"), moved(glass, 0, -1, "nearest"))
        glass = torch.where(left & inner, corner, risen)
    return blurred(glass, sigma, truncate=4, edge="nearest")


def motion_blur(images: Tensor, severity: int, draws: Draws) -> Tensor:
    """Blur along a line that lies up to 45 degrees off the horizontal."""
    radius, sigma = (carried(length, images) for length in MOTION[severity - 1])
    return motion_blurred(images, radius, sigma, 90 * draws.uniform(0) - 45)


def zoom_blur(images: Tensor, severity: int, draws: Draws) -> Tensor:
    """Average the image, once more than the others, and its enlargements."""
    factors = np.arange(1, ZOOM[severity - 1], 0.01)[1:].tolist()
    weight = 1 / (len(factors) + 2)
    return sum_of([(2 * weight, images), *((weight, zoomed(images, factor)) for factor in factors)])

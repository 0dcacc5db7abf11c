"""The noises and the blurs of CIFAR-10-C.

Defocus and glass blur reach a pixel or two, whatever the size of the image: shorter they would be nothing. The length
of a motion blur is carried to other sizes (see ``carried``), and a zoom has none.
"""

import math
from functools import lru_cache

import numpy as np
import torch
from scipy.special import pdtr
from torch import Tensor

from robustbench_pix.attacks.corruptions import filters
from robustbench_pix.attacks.corruptions.filters import Draws

GAUSSIAN = 0.04, 0.06, 0.08, 0.09, 0.10
"""Standard deviations."""

SHOT = 500, 250, 100, 75, 50
"""Photons of a white entry."""

IMPULSE = 0.01, 0.02, 0.03, 0.05, 0.07
"""Probabilities."""

LEVELS = 255
UNIT = 2**24
"""Uniform draws are multiples of its inverse."""


def gaussian_noise(images: Tensor, severity: int, draws: Draws) -> Tensor:
    """x + sigma n, with n standard normal."""
    return images + GAUSSIAN[severity - 1] * draws.normal(0, *images.shape[1:])


def impulse_noise(images: Tensor, severity: int, draws: Draws) -> Tensor:
    """Set each entry to 0 or 1, a fair coin, with the given probability."""
    hit, coin = (draws.uniform(number, *images.shape[1:]) for number in (0, 1))
    return torch.where(hit < IMPULSE[severity - 1], (coin < 0.5).to(images.dtype), images)


def shot_noise(images: Tensor, severity: int, draws: Draws) -> Tensor:
    """Return Poisson(c x) / c: the quantiles of one uniform draw an entry. x counts as one of 256 levels."""
    photons = SHOT[severity - 1]
    table = _poisson_table(photons).to(images.device)
    level = (images * LEVELS).round().long()
    draw = (draws.uniform(0, *images.shape[1:]) * UNIT).long()
    place = torch.searchsorted(table.flatten(), draw + level * UNIT, right=True)
    return (place - level * table.shape[1]).to(images.dtype) / photons


@lru_cache
def _poisson_table(photons: int) -> Tensor:
    """Return P(Poisson(photons level / 255) <= count) + level, in units of 2^-24, int64 (256, photons).

    Flattened it ascends, so that a quantile is one search, in whole numbers. More photons than for white are white.
    """
    level = np.arange(LEVELS + 1)[:, None]
    cumulated = np.ceil(pdtr(np.arange(photons), photons * level / LEVELS) * UNIT).astype(np.int64)
    return torch.from_numpy(cumulated + level * UNIT)


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
    weights = filters.gaussian_weights(smoothing, 1)
    smooth = filters.correlated(filters.correlated(images, weights, -2, "mirror"), weights, -1, "mirror")
    reach = range(-math.floor(radius), math.floor(radius) + 1)
    disk = [(row, column) for row in reach for column in reach if row**2 + column**2 <= radius**2]
    return filters.sum_of([(1 / len(disk), filters.moved(smooth, row, column, "mirror")) for row, column in disk])


def glass_blur(images: Tensor, severity: int, draws: Draws) -> Tensor:
    """Blur, let pixels be those a step up, left or both, and blur again.

    The published code means to swap both pixels but, where a pixel has channels, writes the one over the other; the
    files of CIFAR-10-C were made so, and so it is done here. It leaves out the first two rows and columns.
    """
    sigma, times = GLASS[severity - 1]
    glass = filters.blurred(images, sigma, truncate=4, edge="nearest")
    height, width = images.shape[-2:]
    inner = images.new_zeros(height, width, dtype=torch.bool)
    inner[2:, 2:] = True
    for time in range(times):
        up, left = (draws.uniform(2 * time + axis, 1, height, width) < 0.5 for axis in (0, 1))
        risen = torch.where(up & inner, filters.moved(glass, -1, 0, "nearest"), glass)
        corner = torch.where(
            up & inner, filters.moved(glass, -1, -1, "nearest"), filters.moved(glass, 0, -1, "nearest")
        )
        glass = torch.where(left & inner, corner, risen)
    return filters.blurred(glass, sigma, truncate=4, edge="nearest")


def motion_blur(images: Tensor, severity: int, draws: Draws) -> Tensor:
    """Blur along a line that lies up to 45 degrees off the horizontal."""
    radius, sigma = (filters.carried(length, images) for length in MOTION[severity - 1])
    return filters.motion_blurred(images, radius, sigma, 90 * draws.uniform(0) - 45)


def zoom_blur(images: Tensor, severity: int, draws: Draws) -> Tensor:
    """Average the image, once more than the others, and its enlargements."""
    factors = np.arange(1, ZOOM[severity - 1], 0.01)[1:].tolist()
    weight = 1 / (len(factors) + 2)
    return filters.sum_of([(2 * weight, images), *((weight, filters.zoomed(images, factor)) for factor in factors)])

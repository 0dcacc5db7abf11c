"""The noises of CIFAR-10-C."""

from functools import lru_cache

import numpy as np
import torch
from scipy.special import pdtr
from torch import Tensor

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

"""Quantiles of the Poisson distribution, entry by entry on the device; torch has none."""

import torch
from torch import Tensor


def poisson_quantile(shares: Tensor, means: Tensor) -> Tensor:
    """Return the smallest counts k with P(Poisson(mean) <= k) >= share, float64 of the same shape.

    To the power 2/3 a Poisson number is nearly normal (Anscombe 1953), with the deviation 2/3 mean^(1/6). For shares
    from 2^-25 to 1 - 2^-25 the quantile lies above the guess made so less 0.84, and below it plus 1.14, whatever the
    mean: so two counts are left, and one value of the distribution function decides.

    Args:
        shares: in [2^-25, 1 - 2^-25], float64.
        means: of at least 0, float64.

    >>> poisson_quantile(torch.tensor([0.01, 0.5, 0.99]).double(), torch.tensor([4.0, 4.0, 4.0]).double()).tolist()
    [0.0, 4.0, 9.0]
    """
    root = means.pow(1 / 6)
    guess = (root.pow(4) + 2 / 3 * root * torch.special.ndtri(shares)).clamp(min=0).pow(1.5)
    lower = (guess - 0.85).ceil()
    return lower + (torch.special.gammaincc(lower + 1, means) < shares)

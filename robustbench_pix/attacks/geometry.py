"""Lengths of perturbations, what rounding may add to them, and one number an image spread over its entries."""

import torch
from torch import Tensor

RADIUS_TOLERANCE = 1e-6
RADIUS_TOLERANCE_SHARE = 1e-4
"""A radius may be exceeded by the sum of both: rounding, and never a visible part of a small radius."""


def lengths(batch: Tensor) -> Tensor:
    """Return the L2 norms (N,) of a batch (N, C, H, W)."""
    return torch.linalg.vector_norm(batch.flatten(1), dim=1)


def spread(values: Tensor) -> Tensor:
    """Give values (N,) the shape (N, 1, 1, 1)."""
    return values[:, None, None, None]


def distances(moved: Tensor, norm: str) -> Tensor:
    """Return the norms (N,) of perturbations (N, C, H, W) in ``linf`` or ``l2``."""
    return torch.linalg.vector_norm(moved.flatten(1), ord=2 if norm == "l2" else torch.inf, dim=1)


def reach(radius: float) -> float:
    """Return how long a perturbation may be that is to stay within a radius."""
    return radius + RADIUS_TOLERANCE + RADIUS_TOLERANCE_SHARE * radius

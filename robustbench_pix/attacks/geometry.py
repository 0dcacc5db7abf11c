"""Lengths of perturbations, and one number an image spread over its entries."""

import torch
from torch import Tensor


def lengths(batch: Tensor) -> Tensor:
    """Return the L2 norms (N,) of a batch (N, C, H, W)."""
    return torch.linalg.vector_norm(batch.flatten(1), dim=1)


def spread(values: Tensor) -> Tensor:
    """Give values (N,) the shape (N, 1, 1, 1)."""
    return values[:, None, None, None]

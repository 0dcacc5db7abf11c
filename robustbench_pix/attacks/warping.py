"""Affine maps of images: resampled bilinearly around the centre, with black where nothing was."""

import torch
from torch import Tensor
from torch.nn import functional


def warped(images: Tensor, matrices: Tensor, shifts: Tensor | None = None) -> Tensor:
    """Return images (N, C, H, W) of which each pixel is taken from somewhere else in its image.

    The pixel at p, in pixels right of and below the centre, is taken from ``matrix @ p + shift``; beyond the edge there
    is black. Differentiable in all arguments.

    Args:
        matrices: (N, 2, 2), of (right, below).
        shifts: (N, 2) in pixels; none where absent.
    """
    height, width = images.shape[2:]
    right = torch.arange(width, device=images.device) - (width - 1) / 2
    below = (torch.arange(height, device=images.device) - (height - 1) / 2)[:, None]
    across, down = (row[:, :1, None] * right + row[:, 1:, None] * below for row in matrices.unbind(dim=1))
    if shifts is not None:
        across, down = across + shifts[:, :1, None], down + shifts[:, 1:, None]
    grid = torch.stack([2 * across / width, 2 * down / height], dim=3)
    return functional.grid_sample(images, grid, mode="bilinear", padding_mode="zeros", align_corners=False)


def rotated(images: Tensor, degrees: Tensor) -> Tensor:
    """Return images turned counterclockwise by degrees (N,)."""
    angles = degrees.deg2rad()
    cosine, sine = angles.cos(), angles.sin()
    rows = torch.stack([cosine, -sine], dim=1), torch.stack([sine, cosine], dim=1)
    return warped(images, torch.stack(rows, dim=1))

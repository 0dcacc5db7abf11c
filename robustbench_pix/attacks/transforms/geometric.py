"""Rotation, translation, scaling and shear around the centre, with black beyond the edge.

Bilinear resampling and black edges are those of Engstrom, Tran, Tsipras, Schmidt, Madry 2019 (arXiv 1712.02779).
"""

import math

import torch
from torch import Tensor
from torch.nn import functional

from robustbench_pix.attacks.transforms.base import PerceptibleTransform, coin


class Rotation(PerceptibleTransform):
    """Rotation by the strength in degrees, in either direction."""

    purpose = "rotation"

    def change(self, images: Tensor, draws: Tensor, strength: float) -> Tensor:
        """Rotate counterclockwise or clockwise."""
        return rotated(images, strength * coin(draws[:, 0]))


class Translation(PerceptibleTransform):
    """Translation by a share of the image's side, in any direction."""

    purpose = "translation"

    def change(self, images: Tensor, draws: Tensor, strength: float) -> Tensor:
        """Shift by strength x (width, height) along the direction."""
        height, width = images.shape[2:]
        angles = 2 * math.pi * draws[:, 0]
        shifts = strength * torch.stack([width * angles.cos(), height * angles.sin()], dim=1)
        return warped(images, torch.eye(2, device=images.device).expand(len(images), 2, 2), shifts)


class Scaling(PerceptibleTransform):
    """Magnification by 2^strength, or reduction by its inverse: the strength is in octaves."""

    purpose = "scaling"

    def change(self, images: Tensor, draws: Tensor, strength: float) -> Tensor:
        """Magnify or reduce."""
        factors = torch.exp2(strength * coin(draws[:, 0]))
        return warped(images, torch.eye(2, device=images.device) / factors[:, None, None])


class Shear(PerceptibleTransform):
    """Shear by the strength in degrees, in either direction, of vertical or of horizontal lines."""

    purpose = "shear"
    draws = 2

    def change(self, images: Tensor, draws: Tensor, strength: float) -> Tensor:
        """Shear one kind of lines, and keep the other."""
        slopes = math.tan(math.radians(strength)) * coin(draws[:, 0])
        upright = draws[:, 1] < 0.5
        matrices = torch.eye(2, device=images.device).repeat(len(images), 1, 1)
        matrices[:, 0, 1] = slopes * upright
        matrices[:, 1, 0] = slopes * ~upright
        return warped(images, matrices)


def warped(images: Tensor, matrices: Tensor, shifts: Tensor | None = None) -> Tensor:
    """Return images (N, C, H, W) under affine maps, resampled bilinearly around the centre.

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
    """Return images rotated counterclockwise by degrees (N,)."""
    angles = degrees.deg2rad()
    cosine, sine = angles.cos(), angles.sin()
    rows = torch.stack([cosine, -sine], dim=1), torch.stack([sine, cosine], dim=1)
    return warped(images, torch.stack(rows, dim=1))

"""Rotation, translation, scaling and shear around the centre; what comes in from beyond the edge is black.

Bilinear resampling and black edges are those of Engstrom, Tran, Tsipras, Schmidt, Madry 2019 (arXiv 1712.02779).
"""

import math

import torch
from torch import Tensor

from robustbench_pix.attacks.perceptible import PerceptibleChange, coin
from robustbench_pix.attacks.warping import rotated, warped


class Rotation(PerceptibleChange):
    """A turn by so many degrees, either way."""

    purpose = "rotation"

    def change(self, images: Tensor, draws: Tensor, strength: float) -> Tensor:
        """Turn counterclockwise or clockwise."""
        return rotated(images, strength * coin(draws[:, 0]))


class Translation(PerceptibleChange):
    """A shift by a share of the image's side, in any direction."""

    purpose = "translation"

    def change(self, images: Tensor, draws: Tensor, strength: float) -> Tensor:
        """Shift by strength x (width, height) along the direction."""
        height, width = images.shape[2:]
        angles = 2 * math.pi * draws[:, 0]
        shifts = strength * torch.stack([width * angles.cos(), height * angles.sin()], dim=1)
        return warped(images, torch.eye(2, device=images.device).expand(len(images), 2, 2), shifts)


class Scaling(PerceptibleChange):
    """A magnification by 2^strength, or a reduction by as much: the strength is in octaves."""

    purpose = "scaling"

    def change(self, images: Tensor, draws: Tensor, strength: float) -> Tensor:
        """Magnify or reduce."""
        factors = torch.exp2(strength * coin(draws[:, 0]))
        return warped(images, torch.eye(2, device=images.device) / factors[:, None, None])


class Shear(PerceptibleChange):
    """A slant by so many degrees, either way, of the upright or of the level lines."""

    purpose = "shear"
    draws = 2

    def change(self, images: Tensor, draws: Tensor, strength: float) -> Tensor:
        """Slant one kind of lines, and leave the other as it is."""
        slopes = math.tan(math.radians(strength)) * coin(draws[:, 0])
        upright = draws[:, 1] < 0.5
        matrices = torch.eye(2, device=images.device).repeat(len(images), 1, 1)
        matrices[:, 0, 1] = slopes * upright
        matrices[:, 1, 0] = slopes * ~upright
        return warped(images, matrices)

"""Geometric and photometric transforms that people see through, without access to the model.

Bilinear resampling and black edges are those of Engstrom, Tran, Tsipras, Schmidt, Madry 2019 (arXiv 1712.02779).
"""

import math
from abc import abstractmethod
from collections.abc import Iterator, Sequence
from typing import ClassVar

import torch
from torch import Tensor
from torch.nn import functional

from robustbench_pix.attacks.base import AttackContext, FixedStrengthAttack
from robustbench_pix.attacks.common.norms import spread
from robustbench_pix.attacks.common.philox import PhiloxNoise
from robustbench_pix.randomness import ImageKeys


class PerceptibleTransform(FixedStrengthAttack):
    """Transforms an image in a direction drawn for it, the same at every strength; strength 0 changes nothing."""

    purpose: ClassVar[str]
    draws: ClassVar[int] = 1
    """Number of random numbers that set the direction of an image's transform."""

    @abstractmethod
    def change(self, images: Tensor, draws: Tensor, strength: float) -> Tensor:
        """Return changed images (N, C, H, W) from uniform numbers in [0, 1), (N, draws), and a strength above 0."""

    def perturb(
        self, context: AttackContext, images: Tensor, labels: Tensor, strengths: Sequence[float], keys: ImageKeys
    ) -> Iterator[Tensor]:
        """Yield the transformed images of each strength, clamped to [0, 1]."""
        first = torch.zeros(1, dtype=torch.int64, device=images.device)
        draws = PhiloxNoise(keys, self.purpose, images.device).uniform(first, self.draws)[0]
        for strength in strengths:
            yield images if strength == 0 else self.change(images, draws, strength).clamp(0, 1)


def coin(draws: Tensor) -> Tensor:
    """Return -1 or 1 for each uniform number."""
    return torch.where(draws < 0.5, -1.0, 1.0)


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


LUMA = 0.299, 0.587, 0.114
"""Weights of red, green and blue in the brightness of a pixel (ITU-R BT.601)."""

BLUR_RADIUS = 4
"""Standard deviations after which the Gaussian is cut off."""

MID_GRAY = 0.5


class Brightness(PerceptibleTransform):
    """x + strength or x - strength, clamped."""

    purpose = "brightness"

    def change(self, images: Tensor, draws: Tensor, strength: float) -> Tensor:
        """Brighten or darken all entries alike."""
        return images + spread(strength * coin(draws[:, 0]))


class Contrast(PerceptibleTransform):
    """m + (1 - strength) (x - m), with m the image's mean brightness: at strength 1 the image is uniform."""

    purpose = "contrast"

    def change(self, images: Tensor, draws: Tensor, strength: float) -> Tensor:
        """Reduce the contrast by a share."""
        gray = images
        if images.shape[1] == 3:
            gray = (images * images.new_tensor(LUMA)[:, None, None]).sum(dim=1, keepdim=True)
        mean = gray.mean(dim=(1, 2, 3), keepdim=True)
        return mean + (1 - strength) * (images - mean)


class Occlusion(PerceptibleTransform):
    """A mid-gray patch with the image's proportions that covers a share of its area and lies inside it.

    A patch lies inside those of larger strengths. Pixels on its edges are covered in part.
    """

    purpose = "occlusion"
    draws = 2

    def change(self, images: Tensor, draws: Tensor, strength: float) -> Tensor:
        """Cover the patch."""
        share = math.sqrt(strength)
        columns, rows = (
            _covered(length, share, draw) for length, draw in zip(images.shape[:1:-1], draws.unbind(dim=1), strict=True)
        )
        covered = (rows[:, :, None] * columns[:, None])[:, None]
        return images + covered * (MID_GRAY - images)


def _covered(length: int, share: float, draws: Tensor) -> Tensor:
    """Return the covered part of each pixel of a line, (N, length), for an interval of that share of the line."""
    edges = torch.arange(length + 1, device=draws.device)
    first = draws[:, None] * ((1 - share) * length)
    within = torch.minimum((edges - first).clamp(min=0), torch.full_like(first, share * length))
    return within.diff(dim=1)


class Shadow(PerceptibleTransform):
    """A half plane darkened by a share; its edge, one pixel wide, crosses the middle of the image."""

    purpose = "shadow"
    draws = 3

    def change(self, images: Tensor, draws: Tensor, strength: float) -> Tensor:
        """Darken the half plane."""
        height, width = images.shape[2:]
        right = torch.arange(width, device=images.device) - (width - 1) / 2
        below = (torch.arange(height, device=images.device) - (height - 1) / 2)[:, None]
        through_right, through_below = width * (draws[:, 1] - 0.5) / 2, height * (draws[:, 2] - 0.5) / 2
        angles = 2 * math.pi * draws[:, 0]
        inside = spread(angles.cos()) * (right - spread(through_right))
        inside = inside + spread(angles.sin()) * (below - spread(through_below))
        return images * (1 - strength * (inside + 0.5).clamp(0, 1))


class Blur(PerceptibleTransform):
    """Gaussian blur, with the strength as standard deviation in pixels; edge pixels are repeated beyond the edge."""

    purpose = "blur"

    def change(self, images: Tensor, draws: Tensor, strength: float) -> Tensor:
        """Blur along columns, then along rows."""
        down, across = (_blurring(length, strength).to(images) for length in images.shape[2:])
        return down @ images @ across.T


def _blurring(length: int, deviation: float) -> Tensor:
    """Return the matrix (length, length) that blurs a line of pixels."""
    radius = math.ceil(BLUR_RADIUS * deviation)
    offsets = torch.arange(-radius, radius + 1, dtype=torch.float64)
    weights = torch.exp(-0.5 * (offsets / deviation).square())
    taken_from = (torch.arange(length)[:, None] + offsets.long()).clamp(0, length - 1)
    matrix = torch.zeros(length, length, dtype=torch.float64)
    return matrix.scatter_add_(1, taken_from, (weights / weights.sum()).expand_as(taken_from)).float()

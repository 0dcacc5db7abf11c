"""Brightness, contrast, occlusion, shadow and blur."""

import math

import torch
from torch import Tensor

from robustbench_pix.attacks.common.norms import spread
from robustbench_pix.attacks.transforms.base import PerceptibleTransform, coin

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

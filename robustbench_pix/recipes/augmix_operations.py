"""The nine operations of AugMix on whole batches, each image with its own operation and strength.

As Hendrycks et al. 2020 (arXiv 1912.02781) apply them with PIL, but on floats in [0, 1], and with rotations and
translations by any angle and length: whole pixels are too coarse for small images. None is among the 15 corruptions.
"""

import math

import torch
from torch import Tensor
from torch.nn import functional

LEVELS = 255
GEOMETRIC = 5
OPERATIONS = 9
"""Numbers 0 to 4: rotate, shear along x and y, translate along x and y; 5 to 8: autocontrast, equalize, posterize,
solarize."""
LARGEST_ANGLE, LARGEST_SHEAR, LARGEST_SHIFT = math.radians(30), 0.3, 1 / 3
MOST_BITS, FEWEST_BITS_LESS = 4, 4


def transformed(images: Tensor, operations: Tensor, strengths: Tensor, signs: Tensor) -> Tensor:
    """Return images, (N, C, H, W) in [0, 1], each after one operation.

    Args:
        operations: int64 (N,) in 0 to 8.
        strengths: (N,) in [0, 1]; autocontrast and equalize have none.
        signs: 1 or -1, (N,), of angle, shear or translation.
    """
    bent = moved(images, *affine(operations, strengths * signs, *images.shape[2:]))
    changes = bent, autocontrast(images), equalize(images), posterize(images, strengths), solarize(images, strengths)
    numbers = (operations - (GEOMETRIC - 1)).clamp(min=0)
    return torch.stack(changes).gather(0, numbers.view(1, -1, 1, 1, 1).expand(1, *images.shape))[0]


def affine(operations: Tensor, strengths: Tensor, height: int, width: int) -> tuple[Tensor, Tensor]:
    """Return of each image a matrix (N, 2, 2) and a shift (N, 2), in pixels from its centre, as (x, y).

    The output at p is the input at ``matrix @ p + shift``. Shears leave the upper or the left border where it is.
    """
    chosen = functional.one_hot(operations, OPERATIONS)[:, :GEOMETRIC].to(strengths.dtype) * strengths[:, None]
    angle, shear_x, shear_y, shift_x, shift_y = chosen.T
    angle, shear_x, shear_y = LARGEST_ANGLE * angle, LARGEST_SHEAR * shear_x, LARGEST_SHEAR * shear_y
    rows = [angle.cos(), shear_x - angle.sin()], [shear_y + angle.sin(), angle.cos()]
    shift = (
        shear_x * height / 2 + LARGEST_SHIFT * width * shift_x,
        shear_y * width / 2 + LARGEST_SHIFT * height * shift_y,
    )
    return torch.stack([torch.stack(row, dim=1) for row in rows], dim=1), torch.stack(shift, dim=1)


def moved(images: Tensor, matrix: Tensor, shift: Tensor) -> Tensor:
    """Return images, (N, C, H, W), read at other places, bilinear and black outside; see ``affine``."""
    height, width = images.shape[2:]
    down = (torch.arange(height, device=images.device, dtype=images.dtype) - (height - 1) / 2).view(1, -1, 1)
    across = (torch.arange(width, device=images.device, dtype=images.dtype) - (width - 1) / 2).view(1, 1, -1)
    places = [
        (matrix[:, row, :1, None] * across + matrix[:, row, 1:, None] * down + shift[:, row, None, None]) * 2 / size
        for row, size in enumerate((width, height))
    ]
    return functional.grid_sample(images, torch.stack(places, dim=3).to(images.dtype), align_corners=False)


def autocontrast(images: Tensor) -> Tensor:
    """Return images whose channels reach from 0 to 1; a channel of one value stays."""
    low, high = images.amin(dim=(2, 3), keepdim=True), images.amax(dim=(2, 3), keepdim=True)
    return torch.where(high > low, (images - low) / torch.where(high > low, high - low, 1), images)


def equalize(images: Tensor) -> Tensor:
    """Return images whose channels have level histograms as even as PIL's ``ImageOps.equalize`` makes them."""
    levels = (images * LEVELS).round().long().flatten(2)
    counts = torch.zeros(*levels.shape[:2], LEVELS + 1, dtype=torch.int64, device=images.device)
    counts.scatter_add_(2, levels, torch.ones_like(levels))
    brightest = counts.gather(2, levels.amax(dim=2, keepdim=True))
    step = (levels.shape[2] - brightest) // LEVELS
    before = counts.cumsum(dim=2) - counts
    table = ((step // 2 + before) // step.clamp(min=1)).clamp(max=LEVELS)
    equal = table.gather(2, levels).view(images.shape).to(images.dtype) / LEVELS
    return torch.where(step[..., None] > 0, equal, images)


def posterize(images: Tensor, strengths: Tensor) -> Tensor:
    """Return images with the upper 4 bits of each level, or with fewer the larger the strength."""
    bits = MOST_BITS - (FEWEST_BITS_LESS * strengths).long()
    lower = (2 ** (8 - bits)).view(-1, 1, 1, 1)
    levels = (images * LEVELS).round().long()
    return (levels // lower * lower).to(images.dtype) / LEVELS


def solarize(images: Tensor, strengths: Tensor) -> Tensor:
    """Return images whose levels of at least 256 (1 - strength) are inverted."""
    threshold = (LEVELS + 1 - ((LEVELS + 1) * strengths).long()).view(-1, 1, 1, 1)
    return torch.where((images * LEVELS).round() >= threshold, 1 - images, images)

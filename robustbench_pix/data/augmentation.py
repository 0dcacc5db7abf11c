"""Random crops and flips of whole batches by indexing, on the device on which the images lie."""

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from robustbench_pix.errors import UserError

PADDING = 4


class Crops(NamedTuple):
    """Top row and left column of each image's crop in the padded image, int64 (N,), and whether it is flipped, bool."""

    rows: Tensor
    columns: Tensor
    flips: Tensor


def draw_crops(generator: np.random.Generator, count: int, padding: int = PADDING) -> Crops:
    """Draw uniform offsets in 0 to 2 * padding and fair flips for a number of images, on the CPU.

    >>> rows, columns, flips = draw_crops(np.random.default_rng(0), 1000)
    >>> int(rows.min()), int(rows.max()), flips.dtype
    (0, 8, torch.bool)
    """
    rows = generator.integers(2 * padding + 1, size=count, dtype=np.int64)
    columns = generator.integers(2 * padding + 1, size=count, dtype=np.int64)
    flips = generator.integers(2, size=count, dtype=np.int64).astype(bool)
    return Crops(*map(torch.from_numpy, (rows, columns, flips)))


def crop_and_flip(images: Tensor, rows: Tensor, columns: Tensor, flips: Tensor, padding: int = PADDING) -> Tensor:
    """Pad by reflection, crop each image to its size at its offset, then flip it left to right where requested.

    Args:
        images: (N, C, H, W) of any type.
        rows, columns: int64 (N,) in 0 to 2 * padding, the top left corner of the crop; padding means no shift.
        flips: bool (N,). Like the offsets, on the images' device: nothing is synchronized or transferred.
        padding: pixels added on every side, fewer than H and W.

    Returns:
        (N, C, H, W), a new tensor.

    Raises:
        UserError: the images are too small to be padded by reflection.

    >>> image, four = torch.arange(25).view(1, 1, 5, 5), torch.tensor([4])
    >>> crop_and_flip(image, four, four + 1, torch.tensor([False]))[0, 0, 0].tolist()
    [1, 2, 3, 4, 3]
    """
    count, channels, height, width = images.shape
    if min(height, width) <= padding:
        size = f"{height}x{width}"
        raise UserError(
            f"Images of {size} pixels are too small for crop-and-flip; it pads by {padding} reflected pixels."
        )
    down = torch.arange(height, device=images.device)
    across = torch.arange(width, device=images.device)
    across = torch.where(flips[:, None], across.flip(0), across)
    lines = _reflected(down + rows[:, None] - padding, height)
    places = _reflected(across + columns[:, None] - padding, width)
    pixels = (lines[:, :, None] * width + places[:, None, :]).view(count, 1, height * width)
    return images.flatten(2).gather(2, pixels.expand(-1, channels, -1)).view(images.shape)


def _reflected(positions: Tensor, size: int) -> Tensor:
    """Fold positions just outside 0 to size - 1 back inside, the border pixel itself not repeated."""
    return size - 1 - (size - 1 - positions.abs()).abs()

"""Contrast, elastic deformation, pixelation and JPEG compression of CIFAR-10-C."""

import io

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from robustbench_pix.attacks.corruptions.filters import Draws, blurred, places, sampled

CONTRAST = 0.75, 0.5, 0.4, 0.3, 0.15
"""Remaining share of the contrast."""

ELASTIC = (0.0, 0.0, 0.08), (0.05, 0.2, 0.07), (0.08, 0.06, 0.06), (0.1, 0.04, 0.05), (0.1, 0.03, 0.03)
"""Amplitude and smoothness of the displacement, and how far the corners move; of the shorter side."""

PIXELATE = 0.95, 0.9, 0.85, 0.75, 0.65
"""Pixels left, of a side."""

JPEG = 80, 65, 58, 50, 40
"""Quality."""


def contrast(images: Tensor, severity: int, draws: Draws) -> Tensor:
    """Pull every channel towards its mean."""
    means = images.mean(dim=(2, 3), keepdim=True)
    return (images - means) * CONTRAST[severity - 1] + means


def elastic_transform(images: Tensor, severity: int, draws: Draws) -> Tensor:
    """Warp the image by an affine map that moves three points at random, then by a smooth random displacement."""
    side = min(images.shape[2:])
    amplitude, smoothness, corners = (share * side for share in ELASTIC[severity - 1])
    rows, columns = places(images)
    images = sampled(images, *_affine(images, corners * (2 * draws.uniform(0, 3, 2) - 1)), "mirror")
    size = images.shape[2:]
    down, right = (
        amplitude * blurred(2 * draws.uniform(number, *size) - 1, smoothness, truncate=3, edge="reflect")
        for number in (1, 2)
    )
    return sampled(images, rows + down, columns + right, "reflect")


def pixelate(images: Tensor, severity: int, draws: Draws) -> Tensor:
    """Reduce the image, each pixel the mean of those a box touches with their centres, and enlarge it again."""
    for dimension in (-2, -1):
        first, last = _boxes(images.shape[dimension], PIXELATE[severity - 1])
        one, other = (images.index_select(dimension, place.to(images.device)) for place in (first, last))
        images = (one + other) / 2
    return images


def jpeg_compression(images: Tensor, severity: int, draws: Draws) -> Tensor:
    """Compress and decompress images of 8 bits, one after the other by Pillow, on the CPU."""
    pixels = (images * 255).round().byte().permute(0, 2, 3, 1).cpu().numpy()
    done = np.stack([_through_jpeg(image, JPEG[severity - 1]) for image in pixels])
    return torch.from_numpy(done).to(images.device).permute(0, 3, 1, 2).to(images.dtype) / 255


def _affine(images: Tensor, moves: Tensor) -> tuple[Tensor, Tensor]:
    """Return from which rows and columns (N, H, W) an affine map takes its pixels.

    The three points are the centre plus (q, q), (q, -q) and (-q, -q), with q a third of the shorter side; each is moved
    by its (column, row) of ``moves`` (N, 3, 2), in pixels.
    """
    height, width = images.shape[2:]
    reach, middle = min(height, width) // 3, images.new_tensor([width // 2, height // 2])
    along_column = (moves[:, 1] - moves[:, 2]) / (2 * reach)
    along_row = (moves[:, 0] - moves[:, 1]) / (2 * reach)
    a, c = 1 + along_column[:, 0], along_column[:, 1]
    b, d = along_row[:, 0], 1 + along_row[:, 1]
    centre = middle + (moves[:, 0] + moves[:, 2]) / 2
    rows, columns = places(images)
    column, row = columns - centre[:, 0, None, None], rows - centre[:, 1, None, None]
    a, b, c, d, determinant = (part[:, None, None] for part in (a, b, c, d, a * d - b * c))
    return middle[1] + (a * row - c * column) / determinant, middle[0] + (d * column - b * row) / determinant


def _boxes(size: int, share: float) -> tuple[Tensor, Tensor]:
    """Return for each pixel the first and the last of the pixels it becomes the mean of, int64 (size,).

    As in Pillow's box filter a reduced pixel is the mean of those whose centre lies in its box, one or two here.
    """
    reduced = int(size * share)
    pixel = torch.arange(size)
    box = (2 * pixel + 1) * reduced // (2 * size)
    first, after = ((2 * edge * size + reduced) // (2 * reduced) for edge in (box, box + 1))
    return first, after - 1


def _through_jpeg(pixels: np.ndarray, quality: int) -> np.ndarray:
    """Return an image uint8 (H, W, C), one channel or three, after JPEG compression."""
    file = io.BytesIO()
    Image.fromarray(pixels.squeeze(-1) if pixels.shape[-1] == 1 else pixels).save(file, "JPEG", quality=quality)
    with Image.open(file) as decoded:
        return np.asarray(decoded).reshape(pixels.shape)

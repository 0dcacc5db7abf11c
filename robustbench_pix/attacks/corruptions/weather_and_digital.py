"""The weather and the digital corruptions of CIFAR-10-C: snow to brightness, and contrast to JPEG compression."""

import io

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.nn import functional

from robustbench_pix.attacks.corruptions.filters import Draws, blurred, carried, motion_blurred, places, sampled, zoomed
from robustbench_pix.attacks.transforms import LUMA

SNOW = (
    (0.1, 0.2, 1.0, 0.6, 8, 3, 0.95),
    (0.1, 0.2, 1.0, 0.5, 10, 4, 0.9),
    (0.15, 0.3, 1.75, 0.55, 10, 4, 0.9),
    (0.25, 0.3, 2.25, 0.6, 12, 6, 0.85),
    (0.3, 0.3, 1.25, 0.65, 14, 12, 0.8),
)
"""Of the flakes mean, deviation, enlargement and threshold, of their fall radius and sigma, the share of the image."""

FROST = (1.0, 0.2), (1.0, 0.3), (0.9, 0.4), (0.85, 0.4), (0.75, 0.45)
"""Shares of the image and of the frost."""

ICE = 0.89, 1.02, 1.09
LEAST_ICE, MORE_ICE, ICE_DEVIATION = 0.38, 0.52, 0.087
"""Red, green and blue of the frost, each times its level, which lies evenly between the least and the sum; and the
deviation within an image. So are the mean colour (.565, .650, .697), the deviation of an image's level (.15) and that
within an image of 32x32 pixels cut out of the photographs of the published code, and with them the distances."""

FOG = (0.2, 3.0), (0.5, 3.0), (0.75, 2.5), (1.0, 2.0), (1.5, 1.75)
"""Thickness, and how fast the fog grows smooth."""

BRIGHTNESS = 0.05, 0.1, 0.15, 0.2, 0.3
"""Increment of the value."""


def snow(images: Tensor, severity: int, draws: Draws) -> Tensor:
    """Whiten the image and let bright grains of noise, blurred along their fall, lie on it twice, once turned by 180.

    The size of the flakes is in pixels; the length of their fall is carried to the size of the image.
    """
    mean, deviation, enlarged, threshold, radius, sigma, share = SNOW[severity - 1]
    flakes = zoomed(mean + deviation * draws.normal(0, 1, *images.shape[2:]), enlarged)
    flakes = torch.where(flakes < threshold, 0, flakes).clamp(0, 1)
    falling = 90 * draws.uniform(1) - 135
    flakes = motion_blurred(flakes, carried(radius, images), carried(sigma, images), falling)
    whitened = images.maximum(1.5 * _luma(images) + 0.5)
    return share * images + (1 - share) * whitened + flakes + flakes.flip(-2, -1)


def frost(images: Tensor, severity: int, draws: Draws) -> Tensor:
    """Mix the image with frost.

    As published the frost is cut out of five photographs, which are not ours to ship. This one is made of noise: a
    level of each image's own and the ridges of three random fields, of 4, 8 and 16 cells a side and half the weight of
    the one before.
    """
    share, thickness = FROST[severity - 1]
    size = list(images.shape[2:])
    ridges = images.new_zeros(len(images), 1, *size)
    for number, cells in enumerate((4, 8, 16)):
        field = functional.interpolate(draws.normal(number, 1, cells, cells), size, mode="bilinear")
        ridges += 0.5**number * (1 - field.abs()).clamp(min=0)
    deviation, mean = torch.std_mean(ridges, dim=(1, 2, 3), correction=0, keepdim=True)
    level = LEAST_ICE + MORE_ICE * draws.uniform(3, 1, 1, 1)
    texture = level + ICE_DEVIATION * (ridges - mean) / deviation
    return share * images + thickness * (texture * _ice(images)).clamp(0, 1)


def fog(images: Tensor, severity: int, draws: Draws) -> Tensor:
    """Add a fractal height map and darken the image, so that its brightest entry stays the limit."""
    thickness, decay = FOG[severity - 1]
    height, width = images.shape[2:]
    side = 1 << (max(height, width) - 1).bit_length()
    heights = diamond_square(2 * draws.uniform(0, side, side) - 1, decay)[:, None, :height, :width]
    brightest = images.amax(dim=(1, 2, 3), keepdim=True)
    return (images + thickness * heights) * brightest / (brightest + thickness)


def brightness(images: Tensor, severity: int, draws: Draws) -> Tensor:
    """Add to the value (the largest channel) at the same hue and saturation, which multiplies all channels alike."""
    value = images.amax(dim=1, keepdim=True)
    brighter = (value + BRIGHTNESS[severity - 1]).clamp(max=1)
    return torch.where(value > 0, images * (brighter / value), brighter)


def diamond_square(draws: Tensor, decay: float) -> Tensor:
    """Return fractal height maps from 0 to 1, (N, side, side), that join at their edges; side is a power of two.

    Each place is the mean of the four around it plus its draw, (N, side, side) in [-1, 1), times an amplitude that
    falls by the square of ``decay`` from one step to the next (the published code multiplies by it twice).
    """
    heights = torch.zeros_like(draws)
    step, amplitude = draws.shape[-1], 1.0
    while step >= 2:
        half = step // 2
        corners, offset = heights[:, ::step, ::step], amplitude * draws
        pairs = corners + corners.roll(-1, 1)
        squares = (pairs + pairs.roll(-1, 2)) / 4 + offset[:, half::step, half::step]
        heights[:, half::step, half::step] = squares
        across = corners + corners.roll(-1, 2) + squares + squares.roll(1, 1)
        heights[:, ::step, half::step] = across / 4 + offset[:, ::step, half::step]
        down = corners + corners.roll(-1, 1) + squares + squares.roll(1, 2)
        heights[:, half::step, ::step] = down / 4 + offset[:, half::step, ::step]
        step, amplitude = half, amplitude / decay**2
    low, high = heights.amin(dim=(1, 2), keepdim=True), heights.amax(dim=(1, 2), keepdim=True)
    return (heights - low) / (high - low)


def _luma(images: Tensor) -> Tensor:
    """Return the gray (N, 1, H, W) of images of one or three channels."""
    if images.shape[1] == 1:
        return images
    red, green, blue = images.split(1, dim=1)
    return LUMA[0] * red + LUMA[1] * green + LUMA[2] * blue


def _ice(images: Tensor) -> Tensor:
    """Return the colour of frost (1, C, 1, 1), in gray its luma."""
    ice = images.new_tensor(ICE)[None, :, None, None]
    return ice if images.shape[1] == 3 else _luma(ice)


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

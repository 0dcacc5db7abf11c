"""Tools of the corruptions: random numbers, the same at all severities, and blur, zoom and resampling of images.

Weights are added one by one, so that results do not depend on the batch.
"""

import math
from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional

from robustbench_pix.attacks.common.philox import PhiloxNoise
from robustbench_pix.randomness import ImageKeys

Drawn = dict[tuple[str, int, tuple[int, ...]], Tensor]


class Draws:
    """Philox noise of each image; ``number`` distinguishes several draws of a corruption.

    Args:
        keys: keys of the N images.
        purpose: names the corruption, so that no two share numbers.
    """

    def __init__(self, keys: ImageKeys, purpose: str, device: torch.device) -> None:
        self.indices = [key.index for key in keys]
        self.noise, self.device = PhiloxNoise(keys, purpose, device), device
        self.drawn: Drawn = {}

    def uniform(self, number: int, *shape: int) -> Tensor:
        """Return numbers in [0, 1), multiples of 2^-24, float32 (N, *shape); callers must not change them."""
        return self._once("uniform", number, shape)

    def normal(self, number: int, *shape: int) -> Tensor:
        """Return standard normal numbers, float32 (N, *shape); callers must not change them."""
        return self._once("normal", number, shape)

    def _once(self, kind: str, number: int, shape: tuple[int, ...]) -> Tensor:
        key = kind, number, shape
        if key not in self.drawn:
            steps = torch.tensor([number], device=self.device)
            drawn = getattr(self.noise, kind)(steps, torch.Size(shape).numel())[0]
            self.drawn[key] = drawn.reshape(-1, *shape)
        return self.drawn[key]


Edge = Literal["nearest", "reflect", "mirror"]
"""Padding beyond the edge, in scipy's terms: a a | a b c, or b a | a b c, or c b | a b c."""

SIDE = 32
"""Side of the images for which the lengths are published."""


def carried(length: float, images: Tensor) -> float:
    """Return a length in pixels, published for 32x32, for images (N, C, H, W): scaled by the shorter side.

    It is at most halved, because blurs of CIFAR-10-C a quarter as long would leave 8x8 images as they are.
    """
    return length * max(min(images.shape[-2:]) / SIDE, 0.5)


def correlated(images: Tensor, weights: Sequence[float], dimension: int, edge: Edge) -> Tensor:
    """Return images (..., H, W) weighted along a dimension, -2 or -1; the middle weight is the pixel's own."""
    size, radius = images.shape[dimension], len(weights) // 2
    padded = images.index_select(dimension, _inside(size, radius, edge).to(images.device))
    return sum_of([(weight, padded.narrow(dimension, place, size)) for place, weight in enumerate(weights)])


def moved(images: Tensor, rows: int, columns: int, edge: Edge) -> Tensor:
    """Return images (..., H, W) whose pixel (h, w) is that at (h + rows, w + columns) before."""
    for dimension, by in ((-2, rows), (-1, columns)):
        size = images.shape[dimension]
        place = _inside(size, abs(by), edge)[abs(by) + by :][:size]
        images = images.index_select(dimension, place.to(images.device))
    return images


def sum_of(parts: Sequence[tuple[float, Tensor]]) -> Tensor:
    """Return the weighted sum of tensors of one shape, added in their order."""
    total = torch.zeros_like(parts[0][1])
    for weight, part in parts:
        total.add_(part, alpha=weight)
    return total


def gaussian_weights(sigma: float, radius: int) -> list[float]:
    """Return exp(-i^2 / 2 sigma^2) for i = -radius ... radius, with sum 1."""
    weights = [math.exp(-0.5 * (place / sigma) ** 2) for place in range(-radius, radius + 1)]
    return [weight / sum(weights) for weight in weights]


def blurred(images: Tensor, sigma: float, *, truncate: float, edge: Edge) -> Tensor:
    """Return images (..., H, W) under a Gaussian cut off at ``truncate`` sigma, as scipy's gaussian_filter has it."""
    radius = int(truncate * sigma + 0.5)
    if radius == 0:
        return images
    weights = gaussian_weights(sigma, radius)
    return correlated(correlated(images, weights, -2, edge), weights, -1, edge)


def places(images: Tensor) -> tuple[Tensor, Tensor]:
    """Return the rows (H, 1) and columns (1, W) of images (N, C, H, W), in pixels."""
    height, width = images.shape[-2:]
    rows = torch.arange(height, device=images.device, dtype=images.dtype)
    return rows[:, None], torch.arange(width, device=images.device, dtype=images.dtype)[None]


def sampled(images: Tensor, rows: Tensor, columns: Tensor, edge: Edge) -> Tensor:
    """Return images (N, C, H, W) at places between their pixels, bilinearly.

    Args:
        rows: in pixels, float32, of the shape (N, H, W) or one that broadcasts to it; so are columns.
    """
    height, width = images.shape[-2:]
    corners = edge != "reflect"
    grid = [
        2 * place / (size - 1) - 1 if corners else (2 * place + 1) / size - 1
        for place, size in ((columns, width), (rows, height))
    ]
    shape = len(images), height, width
    mode = "border" if edge == "nearest" else "reflection"
    stacked = torch.stack([part.expand(shape) for part in grid], dim=-1)
    return functional.grid_sample(images, stacked, mode="bilinear", padding_mode=mode, align_corners=corners)


def zoomed(images: Tensor, factor: float) -> Tensor:
    """Return images enlarged about their centre, bilinearly, or nearly so.

    As published a crop of whole pixels becomes whole pixels again, which is off by up to a pixel. That map, of 32x32
    pixels, is carried to other sizes as it is: rounded to their pixels, 8x8 images would stay as they are.
    """
    crop = math.ceil(SIDE / factor)
    enlarged = round(crop * factor)
    first, trimmed, step = (SIDE - crop) // 2, (enlarged - SIDE) // 2, (crop - 1) / (enlarged - 1)
    last = SIDE - 1
    rows, columns = (
        (first + step * (trimmed + place * (last / (size - 1)))) * ((size - 1) / last)
        for place, size in zip(places(images), images.shape[-2:], strict=True)
    )
    return sampled(images, rows, columns, "nearest")


def motion_blurred(images: Tensor, radius: float, sigma: float, degrees: Tensor) -> Tensor:
    """Return images (N, C, H, W), each blurred along a line in the direction of its ``degrees`` (N,).

    As ImageMagick's: the weights are half a Gaussian, exp(-i^2 / 2 sigma^2) for i = 0 ... 2 ceil(radius), with sum 1,
    each of the pixel nearest to i pixels along the line.
    """
    reach = 2 * math.ceil(radius)
    weights = [math.exp(-0.5 * (place / sigma) ** 2) for place in range(reach + 1)]
    angle = torch.deg2rad(degrees)
    height, width = images.shape[-2:]
    places_down, places_right = (torch.arange(size, device=images.device) for size in (height, width))
    numbers = torch.arange(len(images), device=images.device)[:, None, None]
    total = images * (1 / sum(weights))
    for place, weight in enumerate(weights[1:], start=1):
        down, right = ((place * part - 0.5).ceil().long()[:, None] for part in (angle.sin(), angle.cos()))
        rows, columns = (places_down + down).clamp(0, height - 1), (places_right + right).clamp(0, width - 1)
        # Images before channels, since both are chosen for each image.
        along = images.movedim(1, -1)[numbers, rows[:, :, None], columns[:, None, :]].movedim(-1, 1)
        total.add_(along, alpha=weight / sum(weights))
    return total


def _inside(size: int, radius: int, edge: Edge) -> Tensor:
    """Return the place within the image of each place from -radius to size + radius - 1, int64."""
    place = torch.arange(-radius, size + radius)
    if edge == "nearest":
        return place.clamp(0, size - 1)
    period, turn = (2 * size, 2 * size - 1) if edge == "reflect" else (2 * size - 2, 2 * size - 2)
    place = place % period
    return torch.minimum(place, turn - place)

"""What makes a gradient less particular to its network: diverse inputs (DI) and translation invariance (TI)."""

import math

import torch
from torch import Tensor
from torch.nn import functional

SMALLEST_SHARE = 0.9
"""Of the height and width that a diverse input keeps at least; 299 of 330 pixels in the paper."""

DIVERSITY_DRAWS = 4
"""Uniform numbers that ``diversified`` needs for an image."""


def diversified(images: Tensor, drawn: Tensor, probability: float) -> Tensor:
    """Return images (N, C, H, W) shrunk and padded with zeros to their size, with a probability; else as they are.

    Xie et al. 2019, section 3.2: the new height is one of the whole numbers from 0.9 H to below H, all equally likely,
    the width the one at the same place in its range, nearest pixels are taken, and every place is equally likely. There
    images grow, which only a network for images of any size allows.

    Args:
        drawn: uniform in [0, 1), (N, DIVERSITY_DRAWS): whether, how large, and where vertically and horizontally.
    """
    height, width = images.shape[2:]
    down = _resampling(height, drawn[:, 1], drawn[:, 2])
    across = _resampling(width, drawn[:, 1], drawn[:, 3])
    # Sums with a single term that is not 0, so that nothing is rounded.
    resized = down[:, None] @ images @ across[:, None].mT
    return torch.where((drawn[:, 0] < probability)[:, None, None, None], resized, images)


def _resampling(length: int, size: Tensor, place: Tensor) -> Tensor:
    """Return matrices (N, length, length) that shrink rows of pixels to a drawn size and put them at a drawn place."""
    smallest = min(math.floor(SMALLEST_SHARE * length), length - 1)
    sizes = smallest + (size * (length - smallest)).long()
    first = (place * (length - sizes + 1)).long()
    position = torch.arange(length, device=size.device) - first[:, None]
    inside = (position >= 0) & (position < sizes[:, None])
    nearest = (position.clamp(min=0) * length // sizes[:, None]).clamp(max=length - 1)
    return functional.one_hot(nearest, length) * inside[:, :, None].float()


def blurred(gradients: Tensor, kernel: int) -> Tensor:
    """Return gradients (N, C, H, W) convolved with a Gaussian of ``kernel`` x ``kernel`` pixels, zero outside.

    Dong et al. 2019 (equation 7): about the mean gradient of shifted images. As in their code three standard deviations
    reach the outermost pixels, and the weights add up to 1.
    """
    reach = kernel // 2
    weights = torch.exp(-0.5 * (torch.linspace(-3, 3, kernel) ** 2)).tolist()
    for dimension in (2, 3):
        padding = (0, 0, reach, reach) if dimension == 2 else (reach, reach, 0, 0)
        padded, length = functional.pad(gradients, padding), gradients.shape[dimension]
        # Entry by entry rather than by a library's convolution, whose rounding depends on the batch.
        shifted = (weight * padded.narrow(dimension, place, length) for place, weight in enumerate(weights))
        gradients = sum(shifted, start=torch.zeros_like(gradients)) / sum(weights)
    return gradients

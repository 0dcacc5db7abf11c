"""The target ``v1-model``: simple and complex cells with divisive normalization, computed from the images alone.

The energy model of Adelson and Bergen 1985 with the normalization of Heeger 1992 (Carandini and Heeger 2012). The small
bank is our own. A stand-in for a recording of V1: no neuron was recorded. It is deterministic.
"""

import math

import torch
from torch import Tensor
from torch.nn import functional

from robustbench_pix.regularizers.similarity import centred_cosines

ORIENTATIONS = 8
FREQUENCIES, FREQUENCIES_OF_SMALL = (2.0, 3.0, 4.0, 6.0, 8.0), (1.0, 1.5, 2.0)
"""In cycles per image height, and those of images of less than 12 pixels; none is above a quarter cycle a pixel."""

SMALL = 12
OCTAVE = 0.56
"""Standard deviation of the envelope times the frequency, for a bandwidth of one octave."""

TRUNCATION = 2.5
"""Half of a kernel's side in standard deviations of the envelope, where the image is large enough for reflection."""

SEMISATURATION = 0.1
POSITIONS = 16
BATCH = 128


def v1_similarity(images: Tensor, cells: str = "both") -> Tensor:
    """Return the cosine similarities of the model's responses, centred over images.

    Args:
        images: uint8 (N, C, H, W); colours are averaged.
        cells: ``complex``, ``simple`` or ``both``.

    Returns:
        (N, N), float64, in [-1, 1].
    """
    return centred_cosines(torch.cat([v1_responses(batch, cells) for batch in images.split(BATCH)]))


def v1_responses(images: Tensor, cells: str = "both") -> Tensor:
    """Return the responses of cells at every position, orientation and frequency, float32 (N, cells).

    The energy E of a position is the root of the summed squares of two filters in quadrature. A complex cell responds
    E / sqrt(mean E^2 + 0.1^2), the mean over orientations and frequencies at its position; the four simple cells of
    phases 0, 90, 180 and 270 degrees respond their rectified filter over the same pool.
    """
    gray = images.float().mean(dim=1, keepdim=True) / 255
    height = gray.shape[2]
    quadrature = torch.stack([_filtered(gray, frequency / height) for frequency in frequencies(height)], dim=1)
    energy = quadrature.square().sum(dim=3)
    pool = (energy.mean(dim=(1, 2)) + SEMISATURATION**2).sqrt()[:, None, None]
    complex_cells = (energy.sqrt() / pool).flatten(1)
    if cells == "complex":
        return complex_cells
    even = quadrature / pool.unsqueeze(3)
    simple_cells = torch.cat([even.relu(), (-even).relu()], dim=3).flatten(1)
    return simple_cells if cells == "simple" else torch.cat([complex_cells, simple_cells], dim=1)


def frequencies(height: int) -> tuple[float, ...]:
    """Return the frequencies of the bank for images of a height in pixels, in cycles per height.

    >>> frequencies(8), frequencies(28)
    ((1.0, 1.5, 2.0), (2.0, 3.0, 4.0, 6.0))
    """
    known = FREQUENCIES_OF_SMALL if height < SMALL else FREQUENCIES
    return tuple(one for one in known if one <= height / 4)


def gabor(frequency: float, orientation: float, phase: float, half: int) -> Tensor:
    """Return a Gabor function of mean 0 and norm 1 with a round envelope, (2 half + 1, 2 half + 1).

    Args:
        frequency: in cycles a pixel.
        orientation: of the direction in which it modulates, in radians from the horizontal.
        phase: in radians.
        half: half of the side, in pixels.
    """
    places = torch.arange(-half, half + 1, dtype=torch.float64)
    rows, columns = torch.meshgrid(places, places, indexing="ij")
    along = columns * math.cos(orientation) + rows * math.sin(orientation)
    envelope = torch.exp(-(rows**2 + columns**2) / (2 * (OCTAVE / frequency) ** 2))
    values = envelope * torch.cos(2 * math.pi * frequency * along + phase)
    values = values - values.mean()
    return values / values.norm()


def _filtered(gray: Tensor, frequency: float) -> Tensor:
    """Return both filters of a frequency in cycles a pixel, (N, orientations, 2, rows, columns)."""
    height, width = gray.shape[2:]
    half = min(math.ceil(TRUNCATION * OCTAVE / frequency), height - 1, width - 1)
    kernels = [
        gabor(frequency, math.pi * number / ORIENTATIONS, phase, half)
        for number in range(ORIENTATIONS)
        for phase in (0.0, math.pi / 2)
    ]
    padded = functional.pad(gray, (half,) * 4, mode="reflect")
    step = max(2, height // POSITIONS)
    filtered = functional.conv2d(padded, torch.stack(kernels).unsqueeze(1).float(), stride=step)
    return filtered.unflatten(1, (ORIENTATIONS, 2))

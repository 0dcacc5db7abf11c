"""Frequencies at which corruptions change images, and groups of corruptions by frequency.

Yin et al. 2019 (arXiv 1906.08988) show that robustness to a corruption depends on its frequencies; Li et al. 2023
("Robust deep learning object recognition models rely on low frequency information in natural images") compare groups of
low, medium and high frequency. Here the groups are computed from the changes that a corruption makes.
"""

from collections.abc import Mapping
from typing import Literal, NamedTuple

import numpy as np
import torch
from torch import Tensor

from robustbench_pix.attacks.corruptions.corruption import Corruption
from robustbench_pix.randomness import ImageKey

Group = Literal["low", "medium", "high"]
GROUPS: tuple[Group, ...] = ("low", "medium", "high")

SEVERITY = 3
IMAGES = 500
"""Largest number of test images used, the first ones."""


class Grouping(NamedTuple):
    """Centroids of corruptions, as a share of the Nyquist frequency, and the two cut-offs between the groups."""

    centroids: dict[str, float]
    cut_offs: tuple[float, float]

    def group(self, name: str) -> Group:
        """Return the group of a corruption."""
        return GROUPS[sum(self.centroids[name] > cut_off for cut_off in self.cut_offs)]


def grouping(corruptions: Mapping[str, Corruption], images: Tensor, task: str) -> Grouping:
    """Return the groups of corruptions on the test images of a task, float32 (N, C, H, W): tertiles of the centroids.

    So each group has as many corruptions as the others, or nearly.
    """
    images = images[:IMAGES]
    keys = [ImageKey(task, index, 0, 0) for index in range(len(images))]
    centroids = {
        name: centroid(radial_energy(corruption.corrupted(images, SEVERITY, corruption.draws(keys, images)) - images))
        for name, corruption in corruptions.items()
    }
    low, high = np.quantile(list(centroids.values()), [1 / 3, 2 / 3]).tolist()
    return Grouping(centroids, (low, high))


def radial_energy(changes: Tensor) -> Tensor:
    """Return the energy of changes (N, C, H, W) in rings around frequency 0, mean over images and channels.

    Ring b of 0 to half the shorter side holds the frequencies that are rounded to b / (side / 2) of the Nyquist
    frequency; corners beyond are left out. Rings are summed, not averaged: averaged, the one coefficient of frequency 0
    would count as much as all of a ring, and noise on a black background, which can only brighten, as low. Float64
    (side // 2 + 1,).
    """
    power = torch.fft.fft2(changes.double()).abs().square().mean(dim=(0, 1))
    height, width = power.shape
    down, right = (2 * torch.fft.fftfreq(size, dtype=torch.float64, device=power.device) for size in (height, width))
    half = min(height, width) / 2
    ring = (torch.hypot(down[:, None], right[None]) * half).round().long()
    inside = ring <= half
    return power.new_zeros(int(half) + 1).index_add_(0, ring[inside], power[inside])


def centroid(energy: Tensor) -> float:
    """Return the mean frequency under the energy of rings, as a share of the Nyquist frequency.

    >>> centroid(torch.tensor([1.0, 0.0, 0.0, 1.0, 0.0]))
    0.375
    """
    frequency = torch.linspace(0, 1, len(energy), dtype=torch.float64, device=energy.device)
    return float((frequency * energy).sum() / energy.sum())

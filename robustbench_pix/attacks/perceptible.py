"""The base of changes that anybody sees, such as a rotation: blind, keyed by the image, scaled by the strength."""

from abc import abstractmethod
from collections.abc import Iterator, Sequence
from typing import ClassVar

import torch
from torch import Tensor

from robustbench_pix.attacks.base import FixedStrengthAttack, ImageKey, Target
from robustbench_pix.attacks.keyed import KeyedNoise


class PerceptibleChange(FixedStrengthAttack):
    """Changes an image in a way of its own, the same at every strength but for its size; 0 changes nothing."""

    purpose: ClassVar[str]
    draws: ClassVar[int] = 1
    """How many random numbers say in which of its ways an image is changed."""

    @abstractmethod
    def change(self, images: Tensor, draws: Tensor, strength: float) -> Tensor:
        """Return changed images (N, C, H, W) from uniform numbers in [0, 1), (N, draws), and a strength above 0."""

    def perturb(
        self, target: Target, images: Tensor, labels: Tensor, strengths: Sequence[float], keys: Sequence[ImageKey]
    ) -> Iterator[Tensor]:
        """Yield the changed images of each strength, clamped to [0, 1]."""
        first = torch.zeros(1, dtype=torch.int64, device=images.device)
        draws = KeyedNoise(keys, self.purpose, images.device).uniform(first, self.draws)[0]
        for strength in strengths:
            yield images if strength == 0 else self.change(images, draws, strength).clamp(0, 1)


def coin(draws: Tensor) -> Tensor:
    """Return -1 or 1 for each uniform number."""
    return torch.where(draws < 0.5, -1.0, 1.0)

"""Base class of perceptible transforms, such as rotation: keyed by the image, scaled by the strength."""

from abc import abstractmethod
from collections.abc import Iterator, Sequence
from typing import ClassVar

import torch
from torch import Tensor

from robustbench_pix.attacks.base import AttackContext, FixedStrengthAttack
from robustbench_pix.attacks.common.philox import PhiloxNoise
from robustbench_pix.randomness import ImageKeys


class PerceptibleTransform(FixedStrengthAttack):
    """Transforms an image in a direction drawn for it, the same at every strength; strength 0 changes nothing."""

    purpose: ClassVar[str]
    draws: ClassVar[int] = 1
    """Number of random numbers that set the direction of an image's transform."""

    @abstractmethod
    def change(self, images: Tensor, draws: Tensor, strength: float) -> Tensor:
        """Return changed images (N, C, H, W) from uniform numbers in [0, 1), (N, draws), and a strength above 0."""

    def perturb(
        self, context: AttackContext, images: Tensor, labels: Tensor, strengths: Sequence[float], keys: ImageKeys
    ) -> Iterator[Tensor]:
        """Yield the transformed images of each strength, clamped to [0, 1]."""
        first = torch.zeros(1, dtype=torch.int64, device=images.device)
        draws = PhiloxNoise(keys, self.purpose, images.device).uniform(first, self.draws)[0]
        for strength in strengths:
            yield images if strength == 0 else self.change(images, draws, strength).clamp(0, 1)


def coin(draws: Tensor) -> Tensor:
    """Return -1 or 1 for each uniform number."""
    return torch.where(draws < 0.5, -1.0, 1.0)

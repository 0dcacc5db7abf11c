"""Noise in units of pixels in [0, 1], as the paper defines it; no access to the model.

One unit noise for each image, keyed by the image and scaled to every strength: the same for every model, so that
differences between recipes are not differences of noise. (foolbox's noise has a fixed norm, which is another thing.)
"""

from abc import abstractmethod
from collections.abc import Hashable, Iterator, Sequence
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor

from robustbench_pix.attacks.base import FixedStrengthAttack, ImageKey, Target
from robustbench_pix.attacks.memory import Memory

DRAWS = {"cpu": Memory(2**25), "elsewhere": Memory(2**30)}
"""The last draws, 32 MB of them on a CPU and 1 GB on another device: the same for every attacked model.

Drawing takes 13 to 73 us an image (noise of a band three to five times as long), recalling 1 to 6: a seventh of a sweep
of 8x8 images on a CPU, one to two hundredths where images are larger, and on a GPU (calculated) about as long as the
forward passes.
"""


class Noise(FixedStrengthAttack):
    """Base: draws for each image, adds the noise of a strength, clamps."""

    purpose: ClassVar[str]

    @property
    def drawn_by(self) -> Hashable:
        """What decides the draws besides image and shape: the class, and whatever parameters ``draw`` reads."""
        return type(self)

    @abstractmethod
    def draw(self, generator: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
        """Return the draws for one image of this shape, float32 (draws, *shape)."""

    @abstractmethod
    def noisy(self, images: Tensor, draws: Tensor, strength: float) -> Tensor:
        """Return the noisy images (N, C, H, W) at a strength, not clamped, from draws (N, draws, C, H, W)."""

    def perturb(
        self, target: Target, images: Tensor, labels: Tensor, strengths: Sequence[float], keys: Sequence[ImageKey]
    ) -> Iterator[Tensor]:
        """Yield the noisy images of each strength, clamped to [0, 1] or (protocol paper) to each image's own range."""
        draws = self._draws(images, keys)
        low, high = images.amin(dim=(1, 2, 3), keepdim=True), images.amax(dim=(1, 2, 3), keepdim=True)
        for strength in strengths:
            noisy = self.noisy(images, draws, strength)
            yield noisy.clamp(0, 1) if target.clamp == "unit" else noisy.clamp(low, high)

    def _draws(self, images: Tensor, keys: Sequence[ImageKey]) -> Tensor:
        shape, device = tuple(images.shape[1:]), images.device
        memory = DRAWS["cpu" if device.type == "cpu" else "elsewhere"]

        def draw() -> Tensor:
            drawn = np.stack([self.draw(key.stream(self.purpose), shape) for key in keys])
            return torch.from_numpy(drawn).to(device)

        return memory.recall((self.drawn_by, tuple(keys), shape, device), draw)


class GaussianNoise(Noise):
    """x + sigma n, with n standard normal."""

    purpose = "gaussian-noise"

    def draw(self, generator: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
        """Draw standard normal numbers."""
        return generator.standard_normal((1, *shape), dtype=np.float32)

    def noisy(self, images: Tensor, draws: Tensor, strength: float) -> Tensor:
        """Add sigma times the draws."""
        return images + strength * draws[:, 0]


class UniformNoise(Noise):
    """x + u, with u uniform in [-half-width, half-width]."""

    purpose = "uniform-noise"

    def draw(self, generator: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
        """Draw uniform numbers in [-1, 1)."""
        return 2 * generator.random((1, *shape), dtype=np.float32) - 1

    def noisy(self, images: Tensor, draws: Tensor, strength: float) -> Tensor:
        """Add the half-width times the draws."""
        return images + strength * draws[:, 0]


class SaltAndPepperNoise(Noise):
    """x + 1 or x - 1, a fair coin, at each channel entry with the given probability; elsewhere x.

    The entries hit at a small probability are hit at every larger one, with the same sign.
    """

    purpose = "salt-and-pepper-noise"

    def draw(self, generator: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
        """Draw what decides whether an entry is hit, and its sign."""
        hit = generator.random(shape, dtype=np.float32)
        sign = 2 * generator.integers(0, 2, shape).astype(np.float32) - 1
        return np.stack([hit, sign])

    def noisy(self, images: Tensor, draws: Tensor, strength: float) -> Tensor:
        """Hit where the first draw is below the probability."""
        return images + draws[:, 1] * (draws[:, 0] < strength)

"""The random numbers of one corruption for a batch of images: drawn once, the same at all severities."""

from collections.abc import Sequence

import torch
from torch import Tensor

from robustbench_pix.attacks.base import ImageKey
from robustbench_pix.attacks.keyed import KeyedNoise

Drawn = dict[tuple[str, int, tuple[int, ...]], Tensor]


class Draws:
    """Numbers keyed by image; ``number`` tells several draws of a corruption apart.

    Args:
        keys: of the N images.
        purpose: names the corruption, so that no two are given the same numbers.
    """

    def __init__(self, keys: Sequence[ImageKey], purpose: str, device: torch.device) -> None:
        self.indices = [key.index for key in keys]
        self.noise, self.device = KeyedNoise(keys, purpose, device), device
        self.drawn: Drawn = {}

    def uniform(self, number: int, *shape: int) -> Tensor:
        """Return numbers in [0, 1), multiples of 2^-24, float32 (N, *shape); nobody may change them."""
        return self._once("uniform", number, shape)

    def normal(self, number: int, *shape: int) -> Tensor:
        """Return standard normal numbers, float32 (N, *shape); nobody may change them."""
        return self._once("normal", number, shape)

    def _once(self, kind: str, number: int, shape: tuple[int, ...]) -> Tensor:
        key = kind, number, shape
        if key not in self.drawn:
            steps = torch.tensor([number], device=self.device)
            drawn = getattr(self.noise, kind)(steps, torch.Size(shape).numel())[0]
            self.drawn[key] = drawn.reshape(-1, *shape)
        return self.drawn[key]

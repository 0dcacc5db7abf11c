"""Counter-based random numbers on the device: each is a pure function of (image, purpose, step, position).

There is no generator state: the numbers of an image do not depend on the batch, the order or the device. Philox 4x32-10
of Salmon, Moraes, Dror and Shaw 2011 ("Parallel random numbers: as easy as 1, 2, 3") turns a 64-bit key and a 128-bit
counter into four 32-bit words. It is computed in int64, of which only the lower halves are used.
"""

import math
from typing import Self

import numpy as np
import torch
from torch import Tensor

from robustbench_pix.randomness import ImageKeys, key_integer

ROUNDS = 10
MULTIPLIERS = 0xD2511F53, 0xCD9E8D57
KEY_INCREMENTS = 0x9E3779B9, 0xBB67AE85
LOWER_HALF = 0xFFFFFFFF


def round_keys(words: Tensor) -> Tensor:
    """Return the keys of all rounds, int64 (rounds, 2, ...), of keys of two words each, int64 (2, ...)."""
    shape = -1, 2, *[1] * (words.ndim - 1)
    increments = torch.tensor(KEY_INCREMENTS) * torch.arange(ROUNDS)[:, None]
    return (words + increments.reshape(shape).to(words.device)) & LOWER_HALF


def philox(counter: tuple[Tensor, ...], keys: Tensor) -> tuple[Tensor, ...]:
    """Return the four words of Philox 4x32-10, int64 in [0, 2^32), of the shape to which all arguments broadcast.

    Args:
        counter: four words, int64 in [0, 2^32).
        keys: of each round two words, int64 (rounds, 2, ...).
    """
    first, second, third, fourth = counter
    for low, high in keys:
        one, other = first * MULTIPLIERS[0], third * MULTIPLIERS[1]
        first = ((other >> 32) ^ second ^ low).bitwise_and_(LOWER_HALF)
        third = ((one >> 32) ^ fourth ^ high).bitwise_and_(LOWER_HALF)
        second, fourth = other, one
    return first, second & LOWER_HALF, third, fourth & LOWER_HALF


class PhiloxNoise:
    """The random numbers of a batch of images for one purpose, such as ``boundary``.

    Args:
        keys: keys of the N images.
        purpose: part of every image's key, so that no two attacks share numbers.
    """

    def __init__(self, keys: ImageKeys, purpose: str, device: torch.device) -> None:
        hashes = np.array([key_integer(purpose, *key.parts, bits=64) for key in keys], dtype=np.uint64)
        words = np.stack([hashes & np.uint64(LOWER_HALF), hashes >> np.uint64(32)]).astype(np.int64)
        self.keys = round_keys(torch.from_numpy(words).to(device))

    def select(self, rows: Tensor) -> Self:
        """Return the random numbers of some of the images, int64 (M,)."""
        chosen = object.__new__(type(self))
        chosen.keys = self.keys[:, :, rows]
        return chosen

    def uniform(self, steps: Tensor, count: int) -> Tensor:
        """Return numbers in [0, 1), multiples of 2^-24, float32 (S, N, count), for the steps int64 (S,).

        They are the same on every device.
        """
        words = self._draw(steps, count)
        return torch.cat([(word >> 8).float().mul_(2**-24) for word in words], dim=2)[:, :, :count]

    def normal(self, steps: Tensor, count: int) -> Tensor:
        """Return standard normal numbers, float32 (S, N, count), for the steps int64 (S,): Box and Muller 1958.

        None is further from 0 than 6.8. On another device they differ by rounding.
        """
        pairs = self._draw(steps, count)
        normal = []
        for word, other in (pairs[:2], pairs[2:]):
            radius = word.float().add_(0.5).mul_(2**-32).log_().mul_(-2).sqrt_()
            angle = other.float().mul_(2 * math.pi * 2**-32)
            normal += [radius * angle.cos(), radius * angle.sin()]
        return torch.cat(normal, dim=2)[:, :, :count]

    def _draw(self, steps: Tensor, count: int) -> tuple[Tensor, ...]:
        """Return four words each (S, N, a quarter of count, rounded up)."""
        steps = steps[:, None, None]
        places = torch.arange(-(-count // 4), device=steps.device)[None, None]
        counter = places, steps & LOWER_HALF, steps >> 32, torch.zeros_like(steps)
        return philox(counter, self.keys[:, :, None, :, None])

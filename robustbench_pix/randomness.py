"""Random streams by key: a number depends on its key alone, never on earlier draws.

A key names a purpose and its coordinates, such as ``("order", seed, epoch)`` or ``("gaussian-noise", attack seed, task,
image, repetition)``. It never names the recipe, so every recipe gets the same batches and the same noise.
"""

import hashlib
import random
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np

Key = tuple[str | int, ...]


def key_integer(*key: str | int, bits: int = 128) -> int:
    """Return an integer of ``bits`` bits that is a hash of the key."""
    text = "\x1f".join(f"{type(part).__name__}:{part}" for part in key)
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[: bits // 8], "little")


def stream(*key: str | int) -> np.random.Generator:
    """Return the random generator of a key (Philox, the same integers on every machine).

    >>> int(stream("order", 0, 1).integers(1000)) == int(stream("order", 0, 1).integers(1000))
    True
    """
    return np.random.Generator(np.random.Philox(key=key_integer(*key)))


@dataclass(frozen=True)
class ImageKey:
    """The key of one image's random streams under one attack; the recipe is not part of it."""

    task: str
    index: int
    repetition: int
    seed: int

    def stream(self, purpose: str) -> np.random.Generator:
        """Return the random generator of a purpose, such as the kind of noise."""
        return stream(purpose, *self.parts)

    @property
    def parts(self) -> Key:
        """Seed, task, index and repetition, as part of a key."""
        return self.seed, self.task, self.index, self.repetition


ImageKeys = Sequence[ImageKey]


@contextmanager
def global_streams(*key: str | int) -> Iterator[None]:
    """Seed the global generators of Python, numpy and torch from a key, and put all three back afterwards.

    For external code that draws from global state: attack libraries, the initialization of layers.
    """
    import torch

    python_state, numpy_state = random.getstate(), np.random.get_state()
    devices = [torch.cuda.current_device()] if torch.cuda.is_initialized() else []
    with torch.random.fork_rng(devices):
        random.seed(key_integer("python", *key))
        np.random.seed(key_integer("numpy", *key, bits=32))
        torch.manual_seed(key_integer("torch", *key, bits=32))
        try:
            yield
        finally:
            random.setstate(python_state)
            np.random.set_state(numpy_state)


class GlobalState:
    """A snapshot of the Python, numpy and torch generator states, for one of several interleaved computations."""

    def __init__(self) -> None:
        self.states = _global_states()

    def is_current(self) -> bool:
        """Return whether nothing was drawn since the snapshot."""
        now = _global_states()
        (_, words, *places), (_, words_now, *places_now) = self.states[1], now[1]
        same = self.states[0] == now[0] and places == places_now and np.array_equal(words, words_now)
        return same and all(
            before is after or (before is not None and after is not None and bool((before == after).all()))
            for before, after in zip(self.states[2:], now[2:], strict=True)
        )

    @contextmanager
    def in_force(self) -> Iterator[None]:
        """Continue the computation with its own states, and restore the others afterwards."""
        others = _global_states()
        _set_global_states(self.states)
        try:
            yield
        finally:
            self.states = _global_states()
            _set_global_states(others)


def _global_states() -> tuple[Any, ...]:
    import torch

    on_cuda = torch.cuda.get_rng_state() if torch.cuda.is_initialized() else None
    return random.getstate(), np.random.get_state(), torch.get_rng_state(), on_cuda


def _set_global_states(states: tuple[Any, ...]) -> None:
    import torch

    of_python, of_numpy, on_cpu, on_cuda = states
    random.setstate(of_python)
    np.random.set_state(of_numpy)
    torch.set_rng_state(on_cpu)
    if on_cuda is not None:
        torch.cuda.set_rng_state(on_cuda)

"""A curve in a line of text."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

BLOCKS = "▁▂▃▄▅▆▇█"


def sparkline(values: Sequence[float] | NDArray[np.floating], width: int) -> str:
    """Return evenly spaced values from 0 to 1 as block characters on an absolute scale: a full block is 1.

    The values are resampled to ``width`` by linear interpolation; each character is the block of the nearest height,
    at least one eighth. Where a value is NaN the line has a space.

    >>> sparkline([1.0, 0.5, 0.0], 3)
    '█▄▁'
    >>> sparkline([1.0, 0.0], 8)
    '█▇▆▅▃▂▁▁'
    """
    if len(values) == 0:
        return " " * width
    known = np.asarray(values, dtype=float)
    resampled = np.interp(np.linspace(0, known.size - 1, width), np.arange(known.size), known)
    return "".join(" " if np.isnan(value) else _block(value) for value in resampled)


def _block(value: float) -> str:
    return BLOCKS[int(np.clip(round(value * len(BLOCKS)), 1, len(BLOCKS))) - 1]

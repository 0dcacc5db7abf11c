"""Disk cache of slowly prepared arrays, in the platform's cache folder."""

import tempfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np

from robustbench_pix.data.base import cache_folder
from robustbench_pix.identity import digest


def cached(key: Any, *, shape: tuple[int, ...], make: Callable[[], np.ndarray]) -> np.ndarray:
    """Return the uint8 array cached under a key, or compute and cache it.

    A damaged file is computed again; if the cache folder cannot be written, nothing is cached.

    Args:
        key: a JSON value of everything that the array depends on.
        shape: the shape of the array.
        make: computes the array.
    """
    cache = cache_folder()
    if cache is None:
        return make()
    path = cache / "prepared" / f"{digest(key)}.npz"
    array = _read(path, shape)
    if array is None:
        array = make()
        with suppress(OSError):
            _write(path, array)
    return array


def _read(path: Path, shape: tuple[int, ...]) -> np.ndarray | None:
    try:
        # An .npz file, because its checksum is compared on reading; an .npy file has none.
        with path.open("rb") as file, np.load(file) as arrays:
            array = arrays["array"]
    except Exception:  # absent or damaged files are computed again
        return None
    return array if array.shape == shape and array.dtype == np.uint8 else None


def _write(path: Path, array: np.ndarray) -> None:
    """Write under another name, then rename: a reader finds the whole file or none."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=path.parent) as scratch:
        part = Path(scratch) / path.name
        np.savez(part, array=array)
        part.replace(path)

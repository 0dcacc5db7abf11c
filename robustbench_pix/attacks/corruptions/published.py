"""CIFAR-10-C's own files: <data root>/CIFAR-10-C/fog.npy and so on, with labels.npy, where the user has them.

A file is uint8 (50000, 32, 32, 3): the test images of CIFAR-10 in their order, at severity 1, then 2, up to 5.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from robustbench_pix.data.base import in_colour
from robustbench_pix.errors import UserError

FOLDER = "CIFAR-10-C"
SEVERITIES = 5
SHAPE = 32, 32, 3


def find(name: str, test_labels: Tensor, data_root: Path) -> Path | None:
    """Return the file of a corruption, or None where there is none.

    Args:
        name: of the corruption, such as ``fog``.
        test_labels: of the data set's test images, int64 (N,).
        data_root: the folder of data sets.

    Raises:
        UserError: the file has another type or shape, or labels.npy is absent or does not hold the test labels.
    """
    path = data_root / FOLDER / f"{name.replace('-', '_')}.npy"
    if not path.is_file():
        return None
    images, labels = _opened(path), _opened(path.with_name("labels.npy"))
    expected = SEVERITIES * len(test_labels), *SHAPE
    if images.dtype != np.uint8 or images.shape != expected:
        found = f"{images.dtype} {images.shape}"
        raise UserError(f"{path} must hold uint8 {expected}, not {found}; put the original there.")
    if not np.array_equal(labels, np.tile(test_labels.numpy(), SEVERITIES)):
        wrong = path.with_name("labels.npy")
        raise UserError(f"{wrong} does not hold CIFAR-10's test labels {SEVERITIES} times; put the original there.")
    return path


def read(path: Path, severity: int, indices: Sequence[int], *, like: Tensor) -> Tensor:
    """Return some corrupted test images, float32 in [0, 1], in the colour and on the device of ``like``."""
    file = _opened(path)
    rows = np.array(indices) + (severity - 1) * (len(file) // SEVERITIES)
    images = torch.from_numpy(file[rows]).permute(0, 3, 1, 2)
    return in_colour(images, "gray" if like.shape[1] == 1 else "rgb").to(like.device).to(like.dtype) / 255


def _opened(path: Path) -> np.ndarray:
    try:
        return np.asanyarray(np.load(path, mmap_mode="r", allow_pickle=False))
    except (OSError, ValueError) as error:
        raise UserError(f"{path} cannot be read ({error}); put the original of CIFAR-10-C there.") from error

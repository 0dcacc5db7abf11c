"""MNIST, Fashion-MNIST, CIFAR-10 and CIFAR-100 through torchvision, from disk or by its download.

Absent files are downloaded without leaving partial ones.
"""

import shutil
import socket
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

from robustbench_pix.data.base import ImageData, required
from robustbench_pix.errors import UserError

TIMEOUT = 10.0
"""Seconds without an answer after which a download is given up."""


@dataclass(frozen=True)
class Source:
    """A torchvision data set: the location of its files below the data root, and the expected content.

    ``folder`` holds ``files``; torchvision unpacks them from ``archives``, which are relative to the data root.
    """

    title: str
    torchvision_class: str
    folder: str
    files: tuple[str, ...]
    archives: tuple[str, ...]
    train_shape: tuple[int, int, int, int]
    test_shape: tuple[int, int, int, int]
    classes: int
    regularization_augmentation: Literal["none", "crop-and-flip"] = "none"


def opened(source: Source, root: Path, *, download: bool = False) -> tuple[Any, Any]:
    """Return torchvision's training and test set from the files below a folder.

    Only with ``download`` does torchvision write there: downloads and unpacked files.

    Raises:
        UserError: torchvision does not import.
    """
    kind = _torchvision_class(source.torchvision_class)
    return kind(root, train=True, download=download), kind(root, train=False)


def fetched(source: Source, root: Path) -> tuple[Any, Any]:
    """Return training and test set where the files are not there: from the archives that are, else by download.

    Archives below the folder are unpacked elsewhere, each time, and the folder is not written to, whoever owns it.

    Raises:
        UserError: nothing could be fetched; it names the folder and the files expected there.
    """
    try:
        if all((root / archive).is_file() for archive in source.archives):
            return _unpacked(source, root)
        return _downloaded(source, root)
    except UserError:
        raise
    except Exception as error:  # servers and proxies break a download in ways that have no type in common
        what = str(error).strip().rpartition("\n")[2] or type(error).__name__
        raise UserError(
            f"{source.title} is not in {root / source.folder} (expected there: {', '.join(source.files)}) and could not"
            f" be downloaded ({what}); put the files there, or name another folder with --data-root or RBP_DATA."
        ) from error


def _unpacked(source: Source, root: Path) -> tuple[Any, Any]:
    with tempfile.TemporaryDirectory() as scratch:
        for archive in source.archives:
            copy = Path(scratch) / archive
            copy.parent.mkdir(parents=True, exist_ok=True)
            # Not a link, because torchvision writes over an archive that it finds damaged.
            shutil.copyfile(root / archive, copy)
        with _quiet_and_impatient():
            return opened(source, Path(scratch), download=True)


def _downloaded(source: Source, root: Path) -> tuple[Any, Any]:
    """Download into a scratch folder and rename whole files into place.

    Other processes may do the same concurrently, and an interrupted download leaves no file that looks complete.
    """
    root.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=root, prefix=".download-") as scratch:
        with _quiet_and_impatient():
            parts = opened(source, Path(scratch), download=True)
        for file in (path for path in Path(scratch).rglob("*") if path.is_file()):
            target = root / file.relative_to(scratch)
            target.parent.mkdir(parents=True, exist_ok=True)
            file.replace(target)
        return parts


@contextmanager
def _quiet_and_impatient() -> Iterator[None]:
    """Keep standard output for results (older torchvision prints there), and do not wait long for a server."""
    earlier = socket.getdefaulttimeout()
    socket.setdefaulttimeout(TIMEOUT)
    try:
        with redirect_stdout(sys.stderr):
            yield
    finally:
        socket.setdefaulttimeout(earlier)


def _torchvision_class(name: str) -> Any:
    try:
        from torchvision import datasets
    except Exception as error:  # a build for another torch fails in more ways than ImportError
        raise UserError(
            f"torchvision does not import ({type(error).__name__}: {error}); install the build of it that belongs "
            "to this torch, a CPU-only one beside a CPU-only one"
        ) from error
    return getattr(datasets, name)


IDX_FILES = tuple(f"{part}-{kind}-ubyte" for part in ("train", "t10k") for kind in ("images-idx3", "labels-idx1"))
MNIST = Source(
    title="MNIST",
    torchvision_class="MNIST",
    folder="MNIST/raw",
    files=IDX_FILES,
    archives=tuple(f"MNIST/raw/{name}.gz" for name in IDX_FILES),
    train_shape=(60000, 1, 28, 28),
    test_shape=(10000, 1, 28, 28),
    classes=10,
)
FASHION_MNIST = replace(
    MNIST,
    title="Fashion-MNIST",
    torchvision_class="FashionMNIST",
    folder="FashionMNIST/raw",
    archives=tuple(f"FashionMNIST/raw/{name}.gz" for name in IDX_FILES),
)
CIFAR10 = Source(
    title="CIFAR-10",
    torchvision_class="CIFAR10",
    folder="cifar-10-batches-py",
    files=(*(f"data_batch_{number}" for number in range(1, 6)), "test_batch", "batches.meta"),
    archives=("cifar-10-python.tar.gz",),
    train_shape=(50000, 3, 32, 32),
    test_shape=(10000, 3, 32, 32),
    classes=10,
    regularization_augmentation="crop-and-flip",
)
CIFAR100 = replace(
    CIFAR10,
    title="CIFAR-100",
    torchvision_class="CIFAR100",
    folder="cifar-100-python",
    files=("train", "test", "meta"),
    archives=("cifar-100-python.tar.gz",),
    classes=100,
)


def mnist(root: Path, *, colour: str) -> ImageData:
    """Return MNIST: 60,000 training and 10,000 test images of 28x28; errors as for ``read``."""
    return read(MNIST, root, colour=colour)


def fashionmnist(root: Path, *, colour: str) -> ImageData:
    """Return Fashion-MNIST: 60,000 training and 10,000 test images of 28x28; errors as for ``read``."""
    return read(FASHION_MNIST, root, colour=colour)


def cifar10(root: Path, *, colour: str) -> ImageData:
    """Return CIFAR-10: 50,000 training and 10,000 test images of 32x32; errors as for ``read``."""
    return read(CIFAR10, root, colour=colour)


def cifar100(root: Path, *, colour: str) -> ImageData:
    """Return CIFAR-100: 50,000 training and 10,000 test images of 32x32; errors as for ``read``."""
    return read(CIFAR100, root, colour=colour)


def read(source: Source, root: Path, *, colour: str) -> ImageData:
    """Return a torchvision data set from the files below a folder, or by download where they are absent.

    Raises:
        UserError: the files are neither there nor can they be downloaded, they are damaged or hold another number of
            images, or torchvision does not import.
    """
    folder = required(root) / source.folder
    present = all((folder / name).is_file() for name in source.files)
    try:
        train, test = opened(source, root) if present else fetched(source, root)
        train_images, train_labels = _part(train, source.train_shape, source.classes)
        test_images, test_labels = _part(test, source.test_shape, source.classes)
        data = ImageData(
            train_images=train_images,
            train_labels=train_labels,
            test_images=test_images,
            test_labels=test_labels,
            classes=source.classes,
            regularization_augmentation=source.regularization_augmentation,
        )
    except UserError:
        raise
    except OSError as error:
        raise UserError(f"The {source.title} files in {folder} cannot be read ({error}).") from error
    except Exception as error:  # torchvision raises whatever a damaged file leads it to
        what = str(error).partition("\n")[0] or type(error).__name__
        raise UserError(
            f"The {source.title} files in {folder} are damaged ({what}); put the original ones there, or delete them,"
            " so that they are downloaded again."
        ) from error
    return data.in_colour(colour)


def to_images(raw: Tensor | np.ndarray) -> Tensor:
    """Return torchvision's arrays, uint8 (N, H, W) or (N, H, W, 3), as uint8 (N, C, H, W).

    >>> to_images(np.zeros((5, 32, 32, 3), dtype=np.uint8)).shape
    torch.Size([5, 3, 32, 32])
    """
    images = torch.as_tensor(raw)
    return images.unsqueeze(1) if images.dim() == 3 else images.permute(0, 3, 1, 2).contiguous()


def _part(dataset: Any, shape: tuple[int, ...], classes: int) -> tuple[Tensor, Tensor]:
    images, labels = to_images(dataset.data), torch.as_tensor(dataset.targets, dtype=torch.int64)
    if images.shape != shape or len(labels) != len(images):
        found = f"images {tuple(images.shape)} and {len(labels)} labels"
        raise ValueError(f"{found} instead of images {shape} and {shape[0]} labels")
    if labels.max() >= classes:
        raise ValueError(f"a label is {int(labels.max())} instead of less than {classes}")
    return images, labels

"""MNIST, Fashion-MNIST, CIFAR-10 and CIFAR-100 through torchvision, from disk or by its download."""

from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from robustbench_pix.data.base import ImageData, required
from robustbench_pix.data.download import Source, fetched, opened
from robustbench_pix.errors import UserError

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
FASHION_MNIST = Source(
    title="Fashion-MNIST",
    torchvision_class="FashionMNIST",
    folder="FashionMNIST/raw",
    files=IDX_FILES,
    archives=tuple(f"FashionMNIST/raw/{name}.gz" for name in IDX_FILES),
    train_shape=(60000, 1, 28, 28),
    test_shape=(10000, 1, 28, 28),
    classes=10,
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
CIFAR100 = Source(
    title="CIFAR-100",
    torchvision_class="CIFAR100",
    folder="cifar-100-python",
    files=("train", "test", "meta"),
    archives=("cifar-100-python.tar.gz",),
    train_shape=(50000, 3, 32, 32),
    test_shape=(10000, 3, 32, 32),
    classes=100,
    regularization_augmentation="crop-and-flip",
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

"""Data sets: validated uint8 tensors in one colour, with a digest."""

import hashlib
import os
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any, Literal

import platformdirs
import torch
from torch import Tensor

from robustbench_pix.catalogue.registries import datasets
from robustbench_pix.data.recording import Recording
from robustbench_pix.errors import UserError
from robustbench_pix.foreign import foreign_code
from robustbench_pix.identity import DIGEST_LENGTH, canonical_json

PARTS = ("train", "validation", "test")
NO_FOLDER = Path(os.devnull, "no-home").absolute()
"""Placeholder for the data folder of a user without a home; some data sets need no folder."""

FOLDERS_OF_DATASETS = {
    "mnist": "MNIST/raw",
    "fashionmnist": "FashionMNIST/raw",
    "cifar10": "cifar-10-batches-py",
    "cifar100": "cifar-100-python",
    "natural": "natural",
}
"""Data set -> its folder below the root; that of digits comes with scikit-learn."""

AUGMENTATIONS = ("none", "crop-and-flip")


@dataclass(frozen=True, eq=False)
class ImageData:
    """A data set; its tensors are shared between callers and must not be modified.

    Args:
        train_images: uint8 (N, C, H, W) with C = 1 (gray) or 3 (red, green, blue), values 0 to 255.
        train_labels: int64 (N,) in 0 to classes - 1, or None where the data set is regularization data only.
        validation_images, validation_labels: a fixed validation split, if the data set has one.
        test_images, test_labels: the test set; never trained or tuned on.
        classes: the number of classes, 0 without labels.
        regularization_augmentation: augmentation applied once to its images as regularization data.
        picture_credit: attribution shown with its test images; empty if they may not be published.
        recording: what neurons answered to the training images, row k to image k. Such images are regularization
            data; they are brought to the size of the task's images.

    Raises:
        UserError: a tensor has another type or shape, a label is out of range, or images do not pair up with labels
            or responses.
    """

    train_images: Tensor
    train_labels: Tensor | None = None
    validation_images: Tensor | None = None
    validation_labels: Tensor | None = None
    test_images: Tensor | None = None
    test_labels: Tensor | None = None
    classes: int = 0
    regularization_augmentation: Literal["none", "crop-and-flip"] = "none"
    picture_credit: str = ""
    recording: Recording | None = None

    def __post_init__(self) -> None:
        for part in PARTS:
            images, labels = getattr(self, f"{part}_images"), getattr(self, f"{part}_labels")
            if part != "train" and images is None and labels is None:
                continue
            _check_images(images, f"{part}_images", like=self.train_images)
            if part != "train" or labels is not None:
                _check_labels(labels, f"{part}_labels", count=len(images), classes=self.classes)
        if self.regularization_augmentation not in AUGMENTATIONS:
            known = " or ".join(map(repr, AUGMENTATIONS))
            raise UserError(f"regularization_augmentation must be {known} (got {self.regularization_augmentation!r}).")
        if self.recording is not None and self.recording.images != len(self.train_images):
            raise UserError(
                f"There are {len(self.train_images)} images and responses to {self.recording.images}; row k of the "
                "recording must belong to image k."
            )

    @cached_property
    def digest(self) -> str:
        """16 hexadecimal digits of a SHA-256 over everything in the data set that results may depend on."""
        content = hashlib.sha256(canonical_json([self.classes, self.regularization_augmentation]).encode())
        for name in (f"{part}_{kind}" for part in PARTS for kind in ("images", "labels")):
            tensor: Tensor | None = getattr(self, name)
            if tensor is not None:
                content.update(canonical_json([name, list(tensor.shape)]).encode())
                content.update(tensor.cpu().contiguous().view(-1).numpy().data)
        return content.hexdigest()[:DIGEST_LENGTH]

    @property
    def has_test(self) -> bool:
        """Whether there are test images."""
        return self.test_images is not None

    @cached_property
    def without_test(self) -> "ImageData":
        """The data set without its test images, under the same digest: for whatever must not see them."""
        rest = replace(self, test_images=None, test_labels=None)
        rest.__dict__["digest"] = self.digest
        return rest

    def in_colour(self, colour: str) -> "ImageData":
        """Return the data set with all its images in a colour; itself, if they already are."""
        train = in_colour(self.train_images, colour)
        if train is self.train_images:
            return self
        validation = None if self.validation_images is None else in_colour(self.validation_images, colour)
        test = None if self.test_images is None else in_colour(self.test_images, colour)
        return replace(self, train_images=train, validation_images=validation, test_images=test)


def load_dataset(reference: str, folder: Path | None, *, root: Path, colour: str) -> ImageData:
    """Return the data set behind a reference; the last few are kept in memory.

    Args:
        reference: a registered name, ``package.module:function`` or ``file.py:function``; a function
            ``(root, *, colour)`` that returns ``ImageData``.
        folder: where the catalogue file that names it lies.
        root: the folder of data sets, in torchvision's layout.
        colour: ``gray`` or ``rgb``; data in the other colour is converted.

    Raises:
        UserError: there is no such data set, its files are absent or damaged, or it is no ``ImageData``.
    """
    return _loaded(datasets.load(reference, folder), reference, root.expanduser(), colour)


def default_root() -> Path:
    """Return the folder of data sets: the environment variable RBP_DATA, else the platform's cache folder."""
    named = os.environ.get("RBP_DATA")
    if named:
        return Path(named).expanduser()
    cache = cache_folder()
    return NO_FOLDER if cache is None else cache / "data"


def cache_folder() -> Path | None:
    """Return the platform's cache folder of this package; None for a user without a home."""
    try:
        folder = Path(platformdirs.user_cache_dir("robustbench_pix"))
    except RuntimeError:  # Of newer versions; older ones return ~/.cache as it stands.
        return None
    return folder if folder.is_absolute() else None


def required(root: Path) -> Path:
    """Return a folder of data sets.

    Raises:
        UserError: there is none, since the user has no home.
    """
    if root == NO_FOLDER:
        raise UserError(
            "There is no place for data sets, since HOME is not set and this user has no account; name a folder with "
            "--data-root or RBP_DATA."
        )
    return root


def to_gray(images: Tensor) -> Tensor:
    """Return the ITU-R 601 luma of uint8 images (N, 3, H, W) as uint8 (N, 1, H, W), rounded exactly as Pillow does.

    L = (19595 R + 38470 G + 7471 B + 32768) >> 16, which is 0.299 R + 0.587 G + 0.114 B.

    >>> to_gray(torch.tensor([255, 0, 0], dtype=torch.uint8).view(1, 3, 1, 1)).item()
    76
    """
    # In pieces, because the 32-bit sums of 50,000 images would take a gigabyte.
    return torch.cat([_luma(piece) for piece in images.split(1000)])


def in_colour(images: Tensor, colour: str) -> Tensor:
    """Return uint8 images (N, C, H, W) in a colour: gray repeated to three channels, or the luma of three.

    >>> in_colour(torch.zeros(2, 1, 8, 8, dtype=torch.uint8), "rgb").shape
    torch.Size([2, 3, 8, 8])
    """
    if colour == "rgb" and images.shape[1] == 1:
        return images.repeat(1, 3, 1, 1)
    if colour == "gray" and images.shape[1] == 3:
        return to_gray(images)
    return images


@lru_cache(maxsize=4)
def _loaded(source: Any, reference: str, root: Path, colour: str) -> ImageData:
    if not callable(source):
        raise UserError(f"The data set {reference!r} must be a function (root, *, colour) (got {source!r}).")
    try:
        with foreign_code():
            data = source(root, colour=colour)
    except UserError:
        raise
    except Exception as error:
        raise UserError(f"The data set {reference!r} could not be loaded: {type(error).__name__}: {error}.") from error
    if not isinstance(data, ImageData):
        wanted = "robustbench_pix.data.base.ImageData"
        raise UserError(f"The data set {reference!r} must return a {wanted} (got {type(data).__name__}).")
    return data.in_colour(colour)


def _luma(images: Tensor) -> Tensor:
    red, green, blue = images.int().unbind(1)
    return ((red * 19595 + green * 38470 + blue * 7471 + 0x8000) >> 16).to(torch.uint8).unsqueeze(1)


def _check_images(images: Any, name: str, *, like: Tensor) -> None:
    if not isinstance(images, Tensor) or images.dtype != torch.uint8 or images.dim() != 4:
        raise UserError(f"{name} must be a uint8 tensor of shape (N, C, H, W) (got {_described(images)}).")
    if images.shape[1] not in (1, 3) or 0 in images.shape:
        raise UserError(f"{name} must hold images of 1 or 3 channels (got {_described(images)}).")
    if images.shape[1:] != like.shape[1:]:
        raise UserError(f"{name} must be as large as train_images, {_described(like)} (got {_described(images)}).")


def _check_labels(labels: Any, name: str, *, count: int, classes: int) -> None:
    if not isinstance(labels, Tensor) or labels.dtype != torch.int64 or labels.shape != (count,):
        raise UserError(f"{name} must be an int64 tensor of shape ({count},) (got {_described(labels)}).")
    low, high = int(labels.min()), int(labels.max())
    if low < 0 or high >= classes:
        raise UserError(f"{name} must lie in 0 to classes - 1, with classes = {classes} (got {low} to {high}).")


def _described(value: Any) -> str:
    if isinstance(value, Tensor):
        return f"{str(value.dtype).removeprefix('torch.')} {tuple(value.shape)}"
    return "None" if value is None else type(value).__name__

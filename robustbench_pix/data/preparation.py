"""From a data set to the inputs of training: augmentation, regularization data, training and validation split."""

from typing import Any, NamedTuple

import numpy as np
import torch
from PIL import Image, ImageOps
from torch import Tensor

from robustbench_pix.data.base import ImageData, in_colour
from robustbench_pix.data.recording import Recording
from robustbench_pix.errors import UserError
from robustbench_pix.randomness import stream

PADDING = 4


class Crops(NamedTuple):
    """Top row and left column of each image's crop in the padded image, int64 (N,), and whether it is flipped, bool."""

    rows: Tensor
    columns: Tensor
    flips: Tensor


def draw_crops(generator: np.random.Generator, count: int) -> Crops:
    """Draw uniform offsets in 0 to 2 * PADDING and fair flips for a number of images, on the CPU.

    >>> rows, columns, flips = draw_crops(np.random.default_rng(0), 1000)
    >>> int(rows.min()), int(rows.max()), flips.dtype
    (0, 8, torch.bool)
    """
    rows = generator.integers(2 * PADDING + 1, size=count, dtype=np.int64)
    columns = generator.integers(2 * PADDING + 1, size=count, dtype=np.int64)
    flips = generator.integers(2, size=count, dtype=np.int64).astype(bool)
    return Crops(*map(torch.from_numpy, (rows, columns, flips)))


def crop_and_flip(images: Tensor, rows: Tensor, columns: Tensor, flips: Tensor, padding: int = PADDING) -> Tensor:
    """Pad by reflection, crop each image to its size at its offset, then flip it left to right where requested.

    Args:
        images: (N, C, H, W) of any type.
        rows, columns: int64 (N,) in 0 to 2 * padding, the top left corner of the crop; padding means no shift.
        flips: bool (N,). Like the offsets, on the images' device: nothing is synchronized or transferred.
        padding: pixels added on every side, fewer than H and W.

    Returns:
        (N, C, H, W), a new tensor.

    Raises:
        UserError: the images are too small to be padded by reflection.

    >>> image, four = torch.arange(25).view(1, 1, 5, 5), torch.tensor([4])
    >>> crop_and_flip(image, four, four + 1, torch.tensor([False]))[0, 0, 0].tolist()
    [1, 2, 3, 4, 3]
    """
    count, channels, height, width = images.shape
    if min(height, width) <= padding:
        size = f"{height}x{width}"
        raise UserError(
            f"Images of {size} pixels are too small for crop-and-flip; it pads by {padding} reflected pixels."
        )
    down = torch.arange(height, device=images.device)
    across = torch.arange(width, device=images.device)
    across = torch.where(flips[:, None], across.flip(0), across)
    lines = _reflected(down + rows[:, None] - padding, height)
    places = _reflected(across + columns[:, None] - padding, width)
    pixels = (lines[:, :, None] * width + places[:, None, :]).view(count, 1, height * width)
    return images.flatten(2).gather(2, pixels.expand(-1, channels, -1)).view(images.shape)


def _reflected(positions: Tensor, size: int) -> Tensor:
    """Fold positions just outside 0 to size - 1 back inside, the border pixel itself not repeated."""
    return size - 1 - (size - 1 - positions.abs()).abs()


class Split(NamedTuple):
    """Training and validation images, uint8 (N, C, H, W), with their labels, int64 (N,)."""

    train_images: Tensor
    train_labels: Tensor
    validation_images: Tensor
    validation_labels: Tensor


class RegularizationData(NamedTuple):
    """What regularizes: images uint8 (N, C, H, W), and row by row what is known of them.

    Attributes:
        images: the images.
        labels: int64 (N,), None where the data set has none.
        recording: what neurons answered, None where the data set carries no recording.
    """

    images: Tensor
    labels: Tensor | None = None
    recording: Recording | None = None

    def beside_the_images(self) -> dict[str, Any]:
        """Return labels and recording, whichever there are, as a JSON value that differs where one of them does."""
        found: dict[str, Any] = {} if self.labels is None else {"labels": self.labels.tolist()}
        return found if self.recording is None else {**found, "recording": self.recording.description()}


def regularization_data(
    data: ImageData, *, count: int, colour: str, size: tuple[int, int] | None = None
) -> RegularizationData:
    """Return the regularization data, the same for every seed and recipe; there are min(count, size) images.

    They are the first training images before any validation split, augmented once where the data set says so, and
    frozen. Those that carry a recording are brought to ``size``, height and width, where it is given.

    Raises:
        UserError: the images are too small for the data set's augmentation.
    """
    images = in_colour(data.train_images[:count], colour)
    if data.recording is not None and size is not None:
        images = resized(images, size)
    if data.regularization_augmentation == "crop-and-flip":
        crops = draw_crops(stream("regularization-augmentation"), len(images))
        rows, columns, flips = (draw.to(images.device) for draw in crops)
        images = crop_and_flip(images, rows, columns, flips)
    labels = None if data.train_labels is None else data.train_labels[:count]
    return RegularizationData(images, labels, data.recording and data.recording.first(count))


def resized(images: Tensor, size: tuple[int, int]) -> Tensor:
    """Return uint8 images (N, C, H, W) of another height and width: the largest centred crop, averaged over areas."""
    height, width = size
    if images.shape[2:] == (height, width):
        return images
    planes = [Image.fromarray(plane) for plane in images.flatten(0, 1).numpy()]
    fitted = np.stack([np.asarray(ImageOps.fit(plane, (width, height), Image.Resampling.BOX)) for plane in planes])
    return torch.from_numpy(fitted).view(*images.shape[:2], height, width)


def split(data: ImageData, *, seed: int, fraction: float, limit: int | None) -> Split:
    """Return the training and validation images of a seed, each in the order of the data set.

    Args:
        data: a data set with labels.
        seed: chooses the validation images, unless the data set brings a fixed validation split.
        fraction: the share of the training images to hold out, rounded, at least one image.
        limit: use only the first ``limit`` training images; None uses all.

    Raises:
        UserError: the data set has no labels, or too few images to hold one out.
    """
    if data.train_labels is None:
        raise UserError("This data set has no labels, so it can regularize (TASK:DATA) but not be a task.")
    images, labels = data.train_images[:limit], data.train_labels[:limit]
    if data.validation_images is not None and data.validation_labels is not None:
        return Split(images, labels, data.validation_images, data.validation_labels)
    held_out = max(1, round(fraction * len(images)))
    if held_out >= len(images):
        raise UserError(f"Of {len(images)} training images {held_out} cannot be held out; raise train_images.")
    order = torch.from_numpy(stream("validation-split", seed).permutation(len(images)))
    validation, train = order[:held_out].sort().values, order[held_out:].sort().values
    return Split(images[train], labels[train], images[validation], labels[validation])

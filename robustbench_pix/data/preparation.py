"""From a data set to the inputs of training: regularization data, and the training and validation split."""

from typing import NamedTuple

import numpy as np
import torch
from PIL import Image, ImageOps
from torch import Tensor

from robustbench_pix.data.augmentation import crop_and_flip, draw_crops
from robustbench_pix.data.base import ImageData, in_colour
from robustbench_pix.data.recording import Recording
from robustbench_pix.errors import UserError
from robustbench_pix.randomness import stream


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

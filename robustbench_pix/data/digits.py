"""Handwritten digits of 8x8 pixels: the 1,797 that come with scikit-learn, so that a laptop needs no network."""

from pathlib import Path

import numpy as np
import torch

from robustbench_pix.data.base import ImageData
from robustbench_pix.randomness import stream

TEST, VALIDATION = 500, 200
CREDIT = "E. Alpaydin and C. Kaynak 1998, Optical Recognition of Handwritten Digits, UCI Machine Learning Repository"


def digits(root: Path, *, colour: str) -> ImageData:
    """Return the digits: 1,097 training, 200 validation and 500 test images by a fixed permutation.

    The 17 levels 0 to 16 become round(level * 255 / 16). ``root`` is not used.

    >>> digits(Path(), colour="gray").train_images.shape
    torch.Size([1097, 1, 8, 8])
    """
    from sklearn.datasets import load_digits

    levels, targets = load_digits(return_X_y=True)
    images = torch.from_numpy(np.rint(levels * 255 / 16).astype(np.uint8)).view(-1, 1, 8, 8)
    labels = torch.from_numpy(targets.astype(np.int64))
    order = torch.from_numpy(stream("digits-split").permutation(len(images)))
    test, validation, train = order.tensor_split([TEST, TEST + VALIDATION])
    return ImageData(
        train_images=images[train],
        train_labels=labels[train],
        validation_images=images[validation],
        validation_labels=labels[validation],
        test_images=images[test],
        test_labels=labels[test],
        classes=10,
        picture_credit=CREDIT,
    ).in_colour(colour)

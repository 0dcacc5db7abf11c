from pathlib import Path

import numpy as np
import torch
from sklearn.datasets import load_digits

from robustbench_pix.data.digits import digits


def test_every_digit_is_in_exactly_one_part_with_its_label():
    data = digits(Path("unused"), colour="gray")
    assert [len(part) for part in (data.train_images, data.validation_images, data.test_images)] == [1097, 200, 500]
    raw = load_digits()
    expected = sorted(
        (np.round(image * 255 / 16).astype(np.uint8).tobytes(), int(label))
        for image, label in zip(raw.images, raw.target, strict=True)
    )
    parts = [
        (data.train_images, data.train_labels),
        (data.validation_images, data.validation_labels),
        (data.test_images, data.test_labels),
    ]
    got = [
        (image.numpy().tobytes(), int(label))
        for images, labels in parts
        for image, label in zip(images, labels, strict=True)
    ]
    assert sorted(got) == expected


def test_the_levels_span_a_byte():
    images = digits(Path("unused"), colour="gray").train_images
    assert images.unique().tolist() == [round(level * 255 / 16) for level in range(17)]


def test_every_class_is_in_every_part():
    data = digits(Path("unused"), colour="gray")
    for labels in (data.train_labels, data.validation_labels, data.test_labels):
        assert labels.unique().tolist() == list(range(10))


def test_colour_repeats_the_channel():
    gray, rgb = (digits(Path("unused"), colour=colour) for colour in ("gray", "rgb"))
    assert torch.equal(rgb.test_images, gray.test_images.expand(-1, 3, -1, -1))
    assert rgb.digest != gray.digest
    assert rgb.picture_credit == gray.picture_credit != ""


def test_the_split_never_changes():
    assert digits(Path("unused"), colour="gray").digest == "165b1dfd4e8f5e41"

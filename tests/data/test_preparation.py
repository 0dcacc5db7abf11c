import numpy as np
import pytest
import torch

from robustbench_pix.data.base import ImageData, to_gray
from robustbench_pix.data.preparation import crop_and_flip, draw_crops, regularization_data, split
from robustbench_pix.errors import UserError
from robustbench_pix.randomness import stream


def numbered(count, channels=1, **fields):
    """Images whose pixels all hold the image's number; the label is that number modulo 3."""
    numbers = torch.arange(count)
    images = numbers.to(torch.uint8).view(-1, 1, 1, 1).repeat(1, channels, 8, 8)
    return ImageData(train_images=images, train_labels=numbers % 3, classes=3, **fields)


def numbers_of(images):
    return images[:, 0, 0, 0].tolist()


@pytest.mark.parametrize(
    ("count", "fraction", "held_out"), [(200, 0.01, 2), (250, 0.3, 75), (20, 0.01, 1), (2, 0.4, 1)]
)
def test_split_is_disjoint_and_exhaustive(count, fraction, held_out):
    parts = split(numbered(count), seed=0, fraction=fraction, limit=None)
    train, validation = numbers_of(parts.train_images), numbers_of(parts.validation_images)
    assert len(validation) == held_out
    assert sorted(train + validation) == list(range(count))
    assert train == sorted(train)
    assert [number % 3 for number in train] == parts.train_labels.tolist()
    assert [number % 3 for number in validation] == parts.validation_labels.tolist()


def test_split_depends_on_the_seed_alone():
    first, same, other = (
        numbers_of(split(numbered(200), seed=seed, fraction=0.1, limit=None).validation_images) for seed in (0, 0, 1)
    )
    assert first == same
    assert first != other
    assert first == sorted(np.random.Generator(stream("validation-split", 0).bit_generator).permutation(200)[:20])


def test_limit_cuts_before_the_split():
    parts = split(numbered(200), seed=0, fraction=0.1, limit=50)
    assert sorted(numbers_of(parts.train_images) + numbers_of(parts.validation_images)) == list(range(50))
    beyond = split(numbered(200), seed=0, fraction=0.1, limit=10_000)
    assert len(beyond.train_images) == 180


def test_a_fixed_validation_split_is_kept():
    fixed = {"validation_images": numbered(5).train_images, "validation_labels": numbered(5).train_labels}
    data = numbered(200, **fixed)
    parts = split(data, seed=3, fraction=0.1, limit=50)
    assert numbers_of(parts.train_images) == list(range(50))
    assert parts.validation_images is data.validation_images
    assert parts.validation_labels is data.validation_labels


def test_what_cannot_be_split_is_refused():
    with pytest.raises(UserError, match="no labels, so it can regularize"):
        split(ImageData(train_images=numbered(5).train_images), seed=0, fraction=0.1, limit=None)
    with pytest.raises(UserError, match="Of 1 training images 1 cannot be held out"):
        split(numbered(5), seed=0, fraction=0.1, limit=1)


def test_regularization_images_are_the_first_ones():
    data = numbered(200)
    assert numbers_of(regularization_data(data, count=50, colour="gray").images) == list(range(50))
    assert numbers_of(regularization_data(data, count=5000, colour="gray").images) == list(range(200))
    assert regularization_data(data, count=5, colour="rgb").images.shape == (5, 3, 8, 8)


def test_regularization_images_are_augmented_once_with_the_fixed_stream():
    pixels = torch.from_numpy(np.random.default_rng(0).integers(0, 256, (40, 3, 8, 8), dtype=np.uint8))
    data = ImageData(train_images=pixels, regularization_augmentation="crop-and-flip")
    crops = draw_crops(stream("regularization-augmentation"), 30)
    expected = crop_and_flip(pixels[:30], *crops)
    assert not torch.equal(expected, pixels[:30])
    assert torch.equal(regularization_data(data, count=30, colour="rgb").images, expected)
    assert torch.equal(regularization_data(data, count=30, colour="gray").images, to_gray(expected))
    assert torch.equal(data.train_images, pixels)

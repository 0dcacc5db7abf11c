from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from robustbench_pix.data.base import ImageData, default_root, in_colour, load_dataset, to_gray
from robustbench_pix.errors import UserError


def random_images(count, channels=1, side=8, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(256, (count, channels, side, side), generator=generator, dtype=torch.uint8)


def labelled(**changes):
    fields = {
        "train_images": random_images(6),
        "train_labels": torch.tensor([0, 1, 2, 0, 1, 2]),
        "test_images": random_images(3, seed=1),
        "test_labels": torch.tensor([0, 1, 2]),
        "classes": 3,
    }
    return ImageData(**{**fields, **changes})


def test_gray_is_exactly_pillows():
    levels = np.array([0, 1, 2, 51, 76, 77, 127, 128, 200, 254, 255], dtype=np.uint8)
    every = np.stack(np.meshgrid(levels, levels, levels), axis=-1).reshape(1, -1, 3)
    noise = np.random.default_rng(0).integers(0, 256, (2500, 40, 3), dtype=np.uint8)
    for pixels in (every, noise):
        expected = np.asarray(Image.fromarray(pixels).convert("L"))
        images = torch.from_numpy(pixels).permute(2, 0, 1)[None]
        assert torch.equal(to_gray(images)[0, 0], torch.from_numpy(expected.copy()))


def test_gray_of_many_images_is_the_gray_of_each():
    images = random_images(1003, channels=3)
    assert torch.equal(to_gray(images)[1002:], to_gray(images[1002:]))
    assert to_gray(images).dtype == torch.uint8


def test_in_colour():
    gray, rgb = random_images(4), random_images(4, channels=3)
    assert in_colour(gray, "gray") is gray
    assert in_colour(rgb, "rgb") is rgb
    assert torch.equal(in_colour(rgb, "gray"), to_gray(rgb))
    assert all(torch.equal(in_colour(gray, "rgb")[:, channel], gray[:, 0]) for channel in range(3))
    assert torch.equal(in_colour(in_colour(gray, "rgb"), "gray"), gray)


def test_a_data_set_changes_colour_as_a_whole():
    data = labelled()
    assert data.in_colour("gray") is data
    coloured = data.in_colour("rgb")
    assert coloured.train_images.shape == (6, 3, 8, 8)
    assert coloured.test_images.shape == (3, 3, 8, 8)
    assert coloured.validation_images is None
    assert coloured.train_labels is data.train_labels


def test_digest_is_the_same_for_the_same_content():
    assert labelled().digest == labelled().digest
    assert len(labelled().digest) == 16
    strided = random_images(6).transpose(2, 3).contiguous().transpose(2, 3)
    assert labelled(train_images=strided).digest == labelled().digest


def test_digest_changes_with_anything():
    changed = random_images(6)
    changed[5, 0, 7, 7] ^= 1
    part = {"validation_images": random_images(3, seed=1), "validation_labels": torch.tensor([0, 1, 2])}
    others = [
        labelled(train_images=changed),
        labelled(train_labels=torch.tensor([1, 1, 2, 0, 1, 2])),
        labelled(test_images=None, test_labels=None),
        labelled(test_images=None, test_labels=None, **part),
        labelled(classes=4),
        labelled(regularization_augmentation="crop-and-flip"),
        ImageData(train_images=random_images(6).view(6, 1, 4, 16)),
        ImageData(train_images=random_images(6)),
        ImageData(train_images=random_images(6).view(3, 1, 8, 16)),
    ]
    assert len({labelled().digest, *(data.digest for data in others)}) == len(others) + 1


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"train_images": None}, r"train_images must be a uint8 tensor of shape \(N, C, H, W\) \(got None\)"),
        ({"train_images": np.zeros((6, 1, 8, 8), np.uint8)}, r"train_images must be a uint8 tensor .*got ndarray"),
        ({"train_images": torch.zeros(6, 1, 8, 8)}, r"train_images .*got float32 \(6, 1, 8, 8\)"),
        ({"train_images": random_images(6)[:, 0]}, r"train_images .*got uint8 \(6, 8, 8\)"),
        ({"train_images": random_images(6, channels=2)}, "1 or 3 channels"),
        ({"train_images": random_images(0)}, "1 or 3 channels"),
        ({"test_images": random_images(3, side=9)}, r"as large as train_images, uint8 \(6, 1, 8, 8\)"),
        ({"test_images": random_images(3, channels=3)}, "test_images must be as large"),
        ({"train_labels": torch.zeros(6)}, r"train_labels must be an int64 tensor of shape \(6,\) \(got float32"),
        ({"train_labels": torch.zeros(5, dtype=torch.int64)}, r"got int64 \(5,\)"),
        ({"test_labels": None}, r"test_labels must be an int64 tensor .*got None"),
        ({"test_images": None}, r"test_images must be .*got None"),
        ({"classes": 2}, r"train_labels must lie in 0 to classes - 1, with classes = 2 \(got 0 to 2\)"),
        ({"test_labels": torch.tensor([0, -1, 2])}, "got -1 to 2"),
        ({"regularization_augmentation": "crop"}, "must be 'none' or 'crop-and-flip' .*got 'crop'"),
    ],
)
def test_a_wrong_data_set_is_refused_in_one_sentence(changes, sentence):
    with pytest.raises(UserError, match=sentence):
        labelled(**changes)


MODULE = """
import torch
from robustbench_pix.data.base import ImageData
def ours(root, *, colour):
    return ImageData(train_images=torch.full((4, 3, 8, 8), 9, dtype=torch.uint8))
def pair(root, *, colour):
    return torch.zeros(4), torch.zeros(4)
number = 3
"""


def test_load_a_data_set_of_the_user_in_the_colour_asked_for(tmp_path):
    (tmp_path / "sets.py").write_text(MODULE)
    gray = load_dataset("sets.py:ours", tmp_path, root=tmp_path, colour="gray")
    rgb = load_dataset("sets.py:ours", tmp_path, root=tmp_path, colour="rgb")
    assert (gray.train_images.shape[1], rgb.train_images.shape[1]) == (1, 3)
    assert load_dataset("sets.py:ours", tmp_path, root=tmp_path, colour="rgb") is rgb


@pytest.mark.parametrize(
    ("reference", "sentence"),
    [
        ("sets.py:pair", r"'sets.py:pair' must return a robustbench_pix.data.base.ImageData \(got tuple\)"),
        ("sets.py:number", r"'sets.py:number' must be a function \(root, \*, colour\) \(got 3\)"),
        ("sets.py:our", "Did you mean ours"),
        ("minst", "no data set named 'minst'. Did you mean mnist"),
    ],
)
def test_what_is_no_data_set_is_refused(tmp_path, reference, sentence):
    (tmp_path / "sets.py").write_text(MODULE)
    with pytest.raises(UserError, match=sentence):
        load_dataset(reference, tmp_path, root=tmp_path, colour="gray")


def test_default_root(monkeypatch, tmp_path):
    monkeypatch.setenv("RBP_DATA", str(tmp_path))
    assert default_root() == tmp_path
    monkeypatch.setenv("RBP_DATA", "~/sets")
    assert default_root() == Path.home() / "sets"
    monkeypatch.setenv("RBP_DATA", "")
    assert default_root().parts[-2:] == ("robustbench_pix", "data")

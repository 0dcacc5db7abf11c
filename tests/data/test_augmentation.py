import numpy as np
import pytest
import torch
from torchvision.transforms.v2.functional import crop, hflip, pad

from robustbench_pix.data.preparation import crop_and_flip, draw_crops
from robustbench_pix.errors import UserError


def by_numpy(image, row, column, flip, padding):
    padded = np.pad(image, ((0, 0), (padding, padding), (padding, padding)), mode="reflect")
    cropped = padded[:, row : row + image.shape[1], column : column + image.shape[2]]
    return cropped[:, :, ::-1] if flip else cropped


def every_crop(padding):
    offsets = range(2 * padding + 1)
    draws = [(row, column, flip) for row in offsets for column in offsets for flip in (False, True)]
    rows, columns, flips = (torch.tensor(draw) for draw in zip(*draws, strict=True))
    return rows, columns, flips


@pytest.mark.parametrize(("channels", "height", "width", "padding"), [(1, 8, 8, 4), (3, 5, 7, 4), (3, 9, 6, 2)])
def test_equal_to_numpy_at_every_offset(channels, height, width, padding):
    rows, columns, flips = every_crop(padding)
    images = torch.from_numpy(
        np.random.default_rng(0).integers(0, 256, (len(rows), channels, height, width), dtype=np.uint8)
    )
    expected = [
        by_numpy(image.numpy(), int(row), int(column), bool(flip), padding)
        for image, row, column, flip in zip(images, rows, columns, flips, strict=True)
    ]
    assert np.array_equal(crop_and_flip(images, rows, columns, flips, padding).numpy(), np.stack(expected))


def test_equal_to_torchvision():
    images = torch.rand(20, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    draws = draw_crops(np.random.default_rng(1), 20)
    padded = pad(images, [4], padding_mode="reflect")
    expected = [
        crop(image, row, column, 32, 32)
        for image, row, column in zip(padded, *(draw.tolist() for draw in draws[:2]), strict=True)
    ]
    expected = [hflip(image) if flip else image for image, flip in zip(expected, draws.flips.tolist(), strict=True)]
    assert torch.equal(crop_and_flip(images, *draws), torch.stack(expected))


@pytest.mark.parametrize("kind", [torch.uint8, torch.float32, torch.bfloat16, torch.bool])
def test_any_type_and_any_layout(kind):
    images = torch.arange(2 * 3 * 6 * 6).view(2, 3, 6, 6).to(kind)
    four = torch.tensor([4, 4])
    strided = images.to(memory_format=torch.channels_last)
    out = crop_and_flip(strided, four, four, torch.tensor([False, True]))
    assert out.dtype == kind
    assert torch.equal(out, torch.stack([images[0], images[1].flip(2)]))


def test_no_image_gives_no_image():
    nothing = torch.zeros(0, dtype=torch.int64)
    assert crop_and_flip(torch.zeros(0, 1, 8, 8), nothing, nothing, nothing.bool()).shape == (0, 1, 8, 8)


def test_too_small_images_are_refused():
    four = torch.tensor([4])
    with pytest.raises(UserError, match="Images of 4x9 pixels are too small"):
        crop_and_flip(torch.zeros(1, 1, 4, 9), four, four, torch.tensor([True]))


def test_draws_are_uniform():
    rows, columns, flips = (draw.numpy() for draw in draw_crops(np.random.default_rng(0), 90_000))
    for draw in (rows, columns):
        assert draw.dtype == np.int64
        assert np.abs(np.bincount(draw, minlength=9) - 10_000).max() < 5 * np.sqrt(10_000)
    assert flips.dtype == bool
    assert abs(flips.mean() - 0.5) < 0.01
    assert abs(np.corrcoef([rows, columns, flips])[np.triu_indices(3, 1)]).max() < 0.02


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_the_same_on_the_gpu_without_waiting_for_it():
    draws = draw_crops(np.random.default_rng(0), 64)
    images = torch.randint(256, (64, 3, 32, 32), dtype=torch.uint8)
    on_device = [draw.cuda() for draw in draws]
    moved = images.cuda()
    torch.cuda.set_sync_debug_mode("error")
    try:
        out = crop_and_flip(moved, *on_device)
    finally:
        torch.cuda.set_sync_debug_mode("default")
    assert torch.equal(out.cpu(), crop_and_flip(images, *draws))

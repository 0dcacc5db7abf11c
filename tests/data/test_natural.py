import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from robustbench_pix.data import base, natural
from robustbench_pix.data.base import to_gray
from robustbench_pix.errors import UserError
from robustbench_pix.randomness import stream


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setattr(natural, "cache_folder", lambda: tmp_path / "cache")
    return tmp_path / "cache" / "prepared"


def write_pictures(root, names, side=64):
    for number, name in enumerate(names):
        path = root / "natural" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        pixels = np.random.default_rng(number).integers(0, 256, (side, side, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(path, **({"lossless": True} if path.suffix == ".webp" else {}))


def load(root, colour="rgb"):
    return natural.natural(root, colour=colour).train_images


def by_means(pixels, top, left, factor):
    """The crop at top and left, averaged over squares of factor x factor in floating point: (3, 36, 64)."""
    crop = pixels[top : top + 36 * factor, left : left + 64 * factor].astype(float)
    return crop.reshape(36, factor, 64, factor, 3).mean(axis=(1, 3)).transpose(2, 0, 1)


@pytest.mark.parametrize(
    ("width", "height", "top", "left", "factor"),
    [(256, 144, 0, 0, 4), (500, 375, 115, 122, 4), (257, 999, 427, 0, 4), (64, 64, 14, 0, 1), (200, 72, 0, 36, 2)],
)
def test_prepared_pixels_are_means_over_the_centre(width, height, top, left, factor):
    pixels = np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)
    got = natural.prepare(Image.fromarray(pixels))
    # Pillow rounds after each of the two directions.
    assert np.abs(got - by_means(pixels, top, left, factor)).max() <= 1
    assert got.dtype == np.uint8


@pytest.mark.parametrize(("width", "height"), [(1, 1), (3, 500), (500, 3), (100, 100), (255, 200), (300, 143)])
def test_crop_of_a_smaller_picture_is_the_largest_that_fits(width, height):
    left, top, right, bottom = natural.centre_crop(width, height)
    assert 0 <= left < right <= width
    assert 0 <= top < bottom <= height
    assert abs((left + right) - width) <= 1
    assert abs((top + bottom) - height) <= 1
    scale = min(width / 16, height / 9)
    assert abs((right - left) - max(1, 16 * scale)) < 1
    assert abs((bottom - top) - max(1, 9 * scale)) < 1


def test_gray_pictures_and_transparent_ones_are_read(tmp_path):
    for kind in ("L", "RGBA", "P", "CMYK", "1"):
        assert natural.prepare(Image.new(kind, (64, 64))).shape == (3, 36, 64)


def ramp(largest, kind, mode):
    """A picture whose values rise evenly from left to right, from 0 to ``largest``."""
    values = np.broadcast_to(np.linspace(0, largest, 640).round(), (360, 640)).astype(kind)
    return Image.frombytes(mode, (640, 360), values.tobytes())


@pytest.mark.parametrize(("mode", "kind"), [("I;16", "<u2"), ("I;16L", "<u2"), ("I;16B", ">u2")])
def test_pixels_of_16_bits_keep_their_values(mode, kind):
    expected = natural.prepare(ramp(255, "u1", "L")).astype(float)
    got = natural.prepare(ramp(65535, kind, mode))
    assert got.dtype == np.uint8
    assert np.abs(got - expected).max() <= 1
    assert 100 < got.mean() < 155


def test_a_16_bit_png_file_keeps_its_values(tmp_path):
    write_pictures(tmp_path, ["1.png", "2.png"])
    for name in ("1.png", "2.png"):
        ramp(65535, "<u2", "I;16").save(tmp_path / "natural" / name)
    with Image.open(tmp_path / "natural" / "1.png") as picture:
        picture.load()
        assert picture.mode in ("I;16", "I"), "the file does not have 16 bits, so this test would show nothing"
    assert 100 < load(tmp_path, "gray").float().mean() < 155


def test_12_bits_in_16_are_scaled_by_the_range_of_16_and_that_is_said():
    with pytest.warns(UserWarning, match="no value above 4095.*multiply its values by 16"):
        got = natural.prepare(ramp(4095, "<u2", "I;16"))
    expected = natural.prepare(ramp(65535, "<u2", "I;16")) / 16
    assert np.abs(got - expected).max() <= 1


@pytest.mark.parametrize("mode", ["I", "F"])
def test_pixels_of_32_bits_are_refused(mode):
    with pytest.raises(ValueError, match="32 bits, of which no range is known; save it with 8 or 16 bits"):
        natural.prepare(Image.new(mode, (64, 64)))


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "PA", "RGB", "RGBX", "RGBA", "CMYK", "YCbCr", "HSV"])
def test_every_8_bit_mode_shows_the_same_picture(mode):
    """Flat patches, which every mode but black and white keeps to rounding."""
    colours = np.random.default_rng(0).integers(0, 256, (9, 16, 3), dtype=np.uint8)
    colours = np.where(colours > 127, 255, 0).astype(np.uint8) if mode == "1" else colours
    gray = mode in ("1", "L", "LA")
    colours = np.repeat(colours[..., :1], 3, axis=2) if gray else colours
    picture = Image.fromarray(colours.repeat(4, axis=0).repeat(4, axis=1))
    through = picture.quantize(256) if mode == "P" else picture.quantize(256).convert("PA") if mode == "PA" else None
    made = through or picture.convert(mode)
    assert made.mode == mode
    expected = colours.repeat(4, axis=0).repeat(4, axis=1).transpose(2, 0, 1).astype(int)
    assert np.abs(natural.prepare(made) - expected).max() <= 6


@pytest.mark.parametrize("orientation", range(1, 9))
def test_pictures_stand_upright(tmp_path, orientation):
    turn = {
        1: lambda image: image,
        2: lambda image: image[:, ::-1],
        3: lambda image: image[::-1, ::-1],
        4: lambda image: image[::-1],
        5: lambda image: image.transpose(1, 0, 2),
        6: lambda image: np.rot90(image),
        7: lambda image: image[::-1, ::-1].transpose(1, 0, 2),
        8: lambda image: np.rot90(image, -1),
    }[orientation]
    seen = np.random.default_rng(0).integers(0, 256, (72, 128, 3), dtype=np.uint8)
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.fromarray(np.ascontiguousarray(turn(seen))).save(tmp_path / "1.png", exif=exif)
    with Image.open(tmp_path / "1.png") as picture:
        assert np.array_equal(natural.prepare(picture), natural.prepare(Image.fromarray(seen)))


def test_a_damaged_exif_tag_is_passed_over(tmp_path):
    pixels = np.random.default_rng(0).integers(0, 256, (72, 128, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(tmp_path / "1.png", exif=b"Exif\0\0no such header at all")
    with Image.open(tmp_path / "1.png") as picture:
        assert np.array_equal(natural.prepare(picture), natural.prepare(Image.fromarray(pixels)))


def test_pictures_come_in_the_order_of_a_permutation_of_their_sorted_paths(tmp_path):
    names = ["b/2.PNG", "b/10.png", "a.bmp", "c/d/e.webp", "a/z.png"]
    write_pictures(tmp_path, names)
    (tmp_path / "natural" / "notes.txt").write_text("no picture")
    (tmp_path / "natural" / "._a.bmp").write_text("no picture either")
    chosen = [sorted(names)[index] for index in stream("natural-images").permutation(5)]
    expected = np.stack([natural.prepare(Image.open(tmp_path / "natural" / name)) for name in chosen])
    assert np.array_equal(load(tmp_path), expected)
    assert torch.equal(load(tmp_path, "gray"), to_gray(torch.from_numpy(expected)))
    data = natural.natural(tmp_path, colour="gray")
    assert data.train_labels is None
    assert data.regularization_augmentation == "none"


def test_no_more_than_the_count_are_taken(tmp_path, monkeypatch):
    monkeypatch.setattr(natural, "COUNT", 3)
    write_pictures(tmp_path, [f"{number}.png" for number in range(6)])
    assert load(tmp_path).shape == (3, 3, 36, 64)


def test_linked_folders_are_followed(tmp_path):
    write_pictures(tmp_path / "elsewhere", ["1.png", "2.png"])
    (tmp_path / "natural").mkdir()
    (tmp_path / "natural" / "linked").symlink_to(tmp_path / "elsewhere" / "natural")
    assert len(load(tmp_path)) == 2


def test_decoded_once_and_again_when_a_picture_changes(tmp_path, monkeypatch, cache):
    write_pictures(tmp_path, ["1.png", "2.png"])
    decoded = []
    decode = natural._decoded
    monkeypatch.setattr(natural, "_decoded", lambda path: decoded.append(path) or decode(path))
    first = load(tmp_path)
    assert torch.equal(load(tmp_path), first)
    assert len(decoded) == 2
    picture = tmp_path / "natural" / "1.png"
    Image.new("RGB", (64, 64)).save(picture)
    os.utime(picture, ns=(1, 1))
    assert not torch.equal(load(tmp_path), first)
    assert len(decoded) == 4
    assert len(list(cache.iterdir())) == 2


@pytest.mark.parametrize("damage", ["emptied", "cut", "one bit", "another shape", "pickle"])
def test_a_damaged_cache_file_is_made_again(tmp_path, cache, damage):
    write_pictures(tmp_path, ["1.png", "2.png"])
    first = load(tmp_path)
    (file,) = cache.iterdir()
    whole = file.read_bytes()
    if damage == "emptied":
        file.write_bytes(b"")
    elif damage == "cut":
        file.write_bytes(whole[: len(whole) // 2])
    elif damage == "one bit":
        file.write_bytes(whole[:5000] + bytes([whole[5000] ^ 1]) + whole[5001:])
    elif damage == "another shape":
        np.savez(file, array=np.zeros((2, 3, 5, 5), np.uint8))
    else:
        np.savez(file, array=np.array([print], dtype=object))
    assert torch.equal(load(tmp_path), first)
    with np.load(file) as again:
        assert np.array_equal(again["array"], first)


def test_a_cache_that_cannot_be_written_is_passed_over(tmp_path):
    (tmp_path / "cache").write_text("a file where the folder should be")
    write_pictures(tmp_path, ["1.png", "2.png"])
    assert load(tmp_path).shape == (2, 3, 36, 64)


def test_absent_folder(tmp_path):
    with pytest.raises(UserError, match=rf"no folder {tmp_path / 'natural'}; put pictures there .*RBP_DATA"):
        load(tmp_path)


def test_too_few_pictures(tmp_path):
    write_pictures(tmp_path, ["1.png"])
    with pytest.raises(UserError, match=r"holds 1 pictures .*at least 2"):
        load(tmp_path)


def test_an_undecodable_picture_is_named(tmp_path):
    write_pictures(tmp_path, ["1.png", "2.png"])
    whole = (tmp_path / "natural" / "2.png").read_bytes()
    for content in (b"", b"no picture", whole[:3000]):
        (tmp_path / "natural" / "2.png").write_bytes(content)
        with pytest.raises(UserError, match=r"2\.png cannot be decoded"):
            load(tmp_path)


def test_a_dangling_link_is_named(tmp_path):
    write_pictures(tmp_path, ["1.png"])
    (tmp_path / "natural" / "2.png").symlink_to(tmp_path / "gone.png")
    with pytest.raises(UserError, match=r"2\.png"):
        load(tmp_path)


@pytest.mark.skipif(sys.platform != "linux", reason="other systems refuse such names")
def test_a_name_that_is_not_utf8_is_read(tmp_path):
    write_pictures(tmp_path, ["1.png", "2.png"])
    (tmp_path / "natural" / "2.png").rename(tmp_path / "natural" / os.fsdecode(b"caf\xe9.png"))
    assert len(load(tmp_path)) == 2


def test_real_pictures():
    root = base.default_root()
    if "RBP_DATA" not in os.environ or not (root / "natural").is_dir():
        pytest.skip("RBP_DATA names no folder with natural images")
    images = load(root, "gray")
    assert images.shape[1:] == (1, 36, 64)
    assert 80 < images.float().mean() < 150


def test_importing_the_room_does_not_import_torchvision_or_sklearn():
    code = (
        "import sys, robustbench_pix.data.torchvision_sets, robustbench_pix.data.natural, robustbench_pix.data.digits;"
        "print([name for name in ('torchvision', 'sklearn', 'pandas') if name in sys.modules])"
    )
    root = Path(base.__file__).parents[2]
    done = subprocess.run([sys.executable, "-c", code], cwd=root, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"

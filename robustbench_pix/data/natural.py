"""Natural images as regularization data: any folder of pictures, cropped to 9:16 and reduced to 36x64 pixels.

Pictures of every pixel format are brought to 8 bits of red, green and blue in full range, or refused.
"""

import os
import tempfile
import warnings
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image, ImageOps

from robustbench_pix.data.base import ImageData, cache_folder, required
from robustbench_pix.errors import UserError
from robustbench_pix.identity import digest
from robustbench_pix.randomness import stream

COUNT = 5000
HEIGHT, WIDTH = 36, 64
CROP_HEIGHT, CROP_WIDTH = 144, 256
SUFFIXES = (".jpg", ".jpeg", ".png", ".webp", ".bmp")
KINDS = ", ".join(suffix.removeprefix(".") for suffix in SUFFIXES)
PREPARATION_VERSION = 2
"""Raised with any change that alters a prepared pixel, so that older cached arrays are not used again."""


def natural(root: Path, *, colour: str) -> ImageData:
    """Return 5,000 pictures of the folder ``root/natural`` (all, where there are fewer) as (N, C, 36, 64), no labels.

    A fixed permutation of the sorted relative paths chooses and orders them, so they are the same for every seed.
    Each is rotated by its EXIF tag, cropped (see ``centre_crop``) and area-resized; gray is the luma of that. Decoded
    pictures are cached.

    Raises:
        UserError: the folder is absent, holds fewer than 2 pictures, or a picture cannot be decoded.
    """
    folder = required(root) / "natural"
    if not folder.is_dir():
        raise UserError(
            f"There is no folder {folder}; put pictures there ({KINDS}, in subfolders or not), such as ImageNet's"
            " training images, or name the folder above it with --data-root or RBP_DATA."
        )
    names = sorted(_pictures(folder))
    if len(names) < 2:
        raise UserError(f"{folder} holds {len(names)} pictures ({KINDS}); put at least 2 there.")
    chosen = [names[index] for index in stream("natural-images").permutation(len(names))[:COUNT]]
    images = cached(
        ["natural", PREPARATION_VERSION, Image.__version__, _state(folder, chosen)],
        shape=(len(chosen), 3, HEIGHT, WIDTH),
        make=lambda: np.stack([_decoded(folder / name) for name in chosen]),
    )
    return ImageData(train_images=torch.from_numpy(images)).in_colour(colour)


def centre_crop(width: int, height: int) -> tuple[int, int, int, int]:
    """Return the box (left, top, right, bottom) of the centred crop of a picture, in pixels.

    It is 144 high and 256 wide where the picture is at least that large, else the largest of that shape, 9:16.

    >>> centre_crop(500, 375), centre_crop(64, 64)
    ((122, 115, 378, 259), (0, 14, 64, 50))
    """
    if width >= CROP_WIDTH and height >= CROP_HEIGHT:
        crop_width, crop_height = CROP_WIDTH, CROP_HEIGHT
    else:
        crop_width = max(1, min(width, height * 16 // 9))
        crop_height = max(1, min(height, width * 9 // 16))
    left, top = (width - crop_width) // 2, (height - crop_height) // 2
    return left, top, left + crop_width, top + crop_height


def prepare(picture: Image.Image) -> np.ndarray:
    """Return a picture as uint8 (3, 36, 64): red, green, blue of its centred crop, upright, area-resized.

    Pixels of more than 8 bits are scaled by the range of their kind; see ``reduced``, also for refused formats.
    """
    # The rotated picture has no format, which is needed to interpret its pixels.
    turned = upright(picture)
    turned.format = picture.format
    return reduced(turned, centre_crop(*turned.size), (WIDTH, HEIGHT))


def _pictures(folder: Path) -> Iterator[str]:
    # os.walk, because Path.rglob passes over linked folders, and a subset of ImageNet is often made of links.
    for place, _, names in os.walk(folder, followlinks=True):
        relative = Path(place).relative_to(folder)
        # A leading dot marks the companion files that macOS writes, which bear the suffix of a picture.
        pictures = (name for name in names if name.lower().endswith(SUFFIXES) and not name.startswith("."))
        yield from ((relative / name).as_posix() for name in pictures)


def _state(folder: Path, names: list[str]) -> list[str | int]:
    """Return the cache key of a choice of pictures: their folder, names, sizes and modification times."""
    try:
        states = [(name, (folder / name).stat()) for name in names]
    except OSError as error:
        raise UserError(f"A picture in {folder} cannot be read ({error}); replace or delete it.") from error
    # ascii(), because the name of a file need not be valid UTF-8.
    parts = ((ascii(name), state.st_size, state.st_mtime_ns) for name, state in states)
    return [ascii(str(folder.resolve())), *(part for picture in parts for part in picture)]


def _decoded(path: Path) -> np.ndarray:
    try:
        with Image.open(path) as picture:
            return prepare(picture)
    except Exception as error:  # Pillow's decoders raise whatever a damaged file leads them to
        raise UserError(f"The picture {path} cannot be decoded ({error}); replace or delete it.") from error


SIXTEEN_BITS = ("I;16", "I;16L", "I;16B", "I;16N")
LARGEST_OF_16_BITS, LARGEST_OF_12_BITS = 2**16 - 1, 2**12 - 1
LARGEST_OF_8_BITS = 255

Box = tuple[int, int, int, int]


def upright(picture: Image.Image) -> Image.Image:
    """Return a picture rotated by its EXIF orientation; a damaged tag is ignored."""
    try:
        return ImageOps.exif_transpose(picture)
    except Exception:  # A damaged picture is reported when it is decoded.
        return picture


def reduced(picture: Image.Image, box: Box, size: tuple[int, int]) -> np.ndarray:
    """Return the crop of a picture as uint8 (3, height, width): red, green, blue, averaged over areas.

    Pixels of 16 bits are scaled by the full range of 16 bits, whatever the largest of the picture, so that pictures
    stay comparable; 12 bits stored in 16 come out dark, which a warning says. Transparency is dropped.

    Args:
        picture: of any of Pillow's modes.
        box: left, top, right, bottom, in pixels.
        size: width and height of the result, in pixels.

    Raises:
        ValueError: pixels of 32 bits, whole or real, whose range nothing states, or a mode that Pillow cannot convert.
    """
    if picture.mode in SIXTEEN_BITS or (picture.mode == "I" and picture.format == "PNG"):  # As Pillow 10 opens them.
        return _reduced_from_16_bits(picture, box, size)
    if picture.mode in ("I", "F"):
        raise ValueError("its pixels have 32 bits, of which no range is known; save it with 8 or 16 bits")
    resized = picture.convert("RGB").crop(box).resize(size, Image.Resampling.BOX)
    return np.asarray(resized).transpose(2, 0, 1)


def _reduced_from_16_bits(picture: Image.Image, box: Box, size: tuple[int, int]) -> np.ndarray:
    values = np.asarray(picture).astype(np.float32)
    if values.max() <= LARGEST_OF_12_BITS:
        warnings.warn(
            "A picture of 16 bits holds no value above 4095, as cameras of 12 bits write them; it is scaled by the "
            "full range of 16 bits and so is nearly black: multiply its values by 16 if that is not meant.",
            stacklevel=2,
        )
    resized = Image.fromarray(values).crop(box).resize(size, Image.Resampling.BOX)
    levels = np.rint(np.asarray(resized) * (LARGEST_OF_8_BITS / LARGEST_OF_16_BITS)).astype(np.uint8)
    return np.repeat(levels[None], 3, axis=0)


def cached(key: Any, *, shape: tuple[int, ...], make: Callable[[], np.ndarray]) -> np.ndarray:
    """Return the uint8 array cached under a key, or compute and cache it.

    A damaged file is computed again; if the cache folder cannot be written, nothing is cached.

    Args:
        key: a JSON value of everything that the array depends on.
        shape: the shape of the array.
        make: computes the array.
    """
    cache = cache_folder()
    if cache is None:
        return make()
    path = cache / "prepared" / f"{digest(key)}.npz"
    array = _read(path, shape)
    if array is None:
        array = make()
        with suppress(OSError):
            _write(path, array)
    return array


def _read(path: Path, shape: tuple[int, ...]) -> np.ndarray | None:
    try:
        # An .npz file, because its checksum is compared on reading; an .npy file has none.
        with path.open("rb") as file, np.load(file) as arrays:
            array = arrays["array"]
    except Exception:  # absent or damaged files are computed again
        return None
    return array if array.shape == shape and array.dtype == np.uint8 else None


def _write(path: Path, array: np.ndarray) -> None:
    """Write under another name, then rename: a reader finds the whole file or none."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=path.parent) as scratch:
        part = Path(scratch) / path.name
        np.savez(part, array=array)
        part.replace(path)

"""Natural images that regularize: any folder of pictures, cropped to 9:16 and reduced to 36x64 pixels."""

import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from robustbench_pix.data.base import ImageData
from robustbench_pix.data.prepared import kept
from robustbench_pix.errors import UserError
from robustbench_pix.randomness import stream

COUNT = 5000
HEIGHT, WIDTH = 36, 64
CROP_HEIGHT, CROP_WIDTH = 144, 256
SUFFIXES = (".jpg", ".jpeg", ".png", ".webp", ".bmp")
PREPARATION_VERSION = 1
"""Raised with any change that alters a prepared pixel, so that what was prepared before is not used again."""


def natural(root: Path, *, colour: str) -> ImageData:
    """Return 5,000 pictures of the folder ``root/natural`` (all, where there are fewer) as (N, C, 36, 64), no labels.

    A fixed keyed permutation of the sorted relative paths chooses and orders them, so they are the same for every seed.
    Each is cropped (see ``centre_crop``) and area-resized; gray is the luma of that. What was decoded once is kept.

    Raises:
        UserError: the folder is absent, holds fewer than 2 pictures, or a picture cannot be decoded.
    """
    folder = root / "natural"
    if not folder.is_dir():
        raise UserError(
            f"There is no folder {folder}; put pictures there ({_suffixes()}, in subfolders or not), such as ImageNet's"
            " training images, or name the folder above it with --data-root or RBP_DATA."
        )
    names = sorted(_pictures(folder))
    if len(names) < 2:
        raise UserError(f"{folder} holds {len(names)} pictures ({_suffixes()}); put at least 2 there.")
    chosen = [names[index] for index in stream("natural-images").permutation(len(names))[:COUNT]]
    images = kept(
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
    """Return a picture as uint8 (3, 36, 64): red, green, blue of its centred crop, area-resized."""
    resized = picture.convert("RGB").crop(centre_crop(*picture.size)).resize((WIDTH, HEIGHT), Image.Resampling.BOX)
    return np.asarray(resized).transpose(2, 0, 1)


def _pictures(folder: Path) -> Iterator[str]:
    # os.walk, because Path.rglob passes over linked folders, and a subset of ImageNet is often made of links.
    for place, _, names in os.walk(folder, followlinks=True):
        relative = Path(place).relative_to(folder)
        yield from ((relative / name).as_posix() for name in names if _is_picture(name))


def _is_picture(name: str) -> bool:
    # A leading dot marks the companion files that macOS writes, which bear the suffix of a picture.
    return name.lower().endswith(SUFFIXES) and not name.startswith(".")


def _state(folder: Path, names: list[str]) -> list[str | int]:
    """Tell one choice of pictures from another: where they lie, their names, sizes and when they were written."""
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


def _suffixes() -> str:
    return ", ".join(suffix.removeprefix(".") for suffix in SUFFIXES)

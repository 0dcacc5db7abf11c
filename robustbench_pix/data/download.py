"""Opening torchvision's data sets, and downloading absent files without leaving partial ones."""

import shutil
import socket
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from robustbench_pix.errors import UserError

TIMEOUT = 10.0
"""Seconds without an answer after which a download is given up."""


@dataclass(frozen=True)
class Source:
    """A torchvision data set: the location of its files below the data root, and the expected content.

    ``folder`` holds ``files``; torchvision unpacks them from ``archives``, which are relative to the data root.
    """

    title: str
    torchvision_class: str
    folder: str
    files: tuple[str, ...]
    archives: tuple[str, ...]
    train_shape: tuple[int, int, int, int]
    test_shape: tuple[int, int, int, int]
    classes: int
    regularization_augmentation: Literal["none", "crop-and-flip"] = "none"


def opened(source: Source, root: Path, *, download: bool = False) -> tuple[Any, Any]:
    """Return torchvision's training and test set from the files below a folder.

    Only with ``download`` does torchvision write there: downloads and unpacked files.

    Raises:
        UserError: torchvision does not import.
    """
    kind = _torchvision_class(source.torchvision_class)
    return kind(root, train=True, download=download), kind(root, train=False)


def fetched(source: Source, root: Path) -> tuple[Any, Any]:
    """Return training and test set where the files are not there: from the archives that are, else by download.

    Archives below the folder are unpacked elsewhere, each time, and the folder is not written to, whoever owns it.

    Raises:
        UserError: nothing could be fetched; it names the folder and the files expected there.
    """
    try:
        if all((root / archive).is_file() for archive in source.archives):
            return _unpacked(source, root)
        return _downloaded(source, root)
    except UserError:
        raise
    except Exception as error:  # servers and proxies break a download in ways that have no type in common
        what = str(error).strip().rpartition("\n")[2] or type(error).__name__
        raise UserError(
            f"{source.title} is not in {root / source.folder} (expected there: {', '.join(source.files)}) and could not"
            f" be downloaded ({what}); put the files there, or name another folder with --data-root or RBP_DATA."
        ) from error


def _unpacked(source: Source, root: Path) -> tuple[Any, Any]:
    with tempfile.TemporaryDirectory() as scratch:
        for archive in source.archives:
            copy = Path(scratch) / archive
            copy.parent.mkdir(parents=True, exist_ok=True)
            # Not a link, because torchvision writes over an archive that it finds damaged.
            shutil.copyfile(root / archive, copy)
        with _quiet_and_impatient():
            return opened(source, Path(scratch), download=True)


def _downloaded(source: Source, root: Path) -> tuple[Any, Any]:
    """Download into a scratch folder and rename whole files into place.

    Other processes may do the same concurrently, and an interrupted download leaves no file that looks complete.
    """
    root.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=root, prefix=".download-") as scratch:
        with _quiet_and_impatient():
            parts = opened(source, Path(scratch), download=True)
        for file in (path for path in Path(scratch).rglob("*") if path.is_file()):
            target = root / file.relative_to(scratch)
            target.parent.mkdir(parents=True, exist_ok=True)
            file.replace(target)
        return parts


@contextmanager
def _quiet_and_impatient() -> Iterator[None]:
    """Keep standard output for results (older torchvision prints there), and do not wait long for a server."""
    earlier = socket.getdefaulttimeout()
    socket.setdefaulttimeout(TIMEOUT)
    try:
        with redirect_stdout(sys.stderr):
            yield
    finally:
        socket.setdefaulttimeout(earlier)


def _torchvision_class(name: str) -> Any:
    try:
        from torchvision import datasets
    except Exception as error:  # a build for another torch fails in more ways than ImportError
        raise UserError(
            f"torchvision does not import ({type(error).__name__}: {error}); install the build of it that belongs "
            "to this torch, a CPU-only one beside a CPU-only one"
        ) from error
    return getattr(datasets, name)

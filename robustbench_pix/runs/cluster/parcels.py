"""Folders as bytes: packed on one machine, checked and written whole or not at all on another."""

import hashlib
import io
import json
import tarfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from robustbench_pix.errors import UserError
from robustbench_pix.identity import DIGEST_LENGTH
from robustbench_pix.runs.manifest import SPEC
from robustbench_pix.runs.store import DISK_ERRORS, Store, disk_error


def pack_run(store: Store, name: str) -> bytes:
    """Return a run folder as bytes.

    Raises:
        UserError: the folder is damaged.
    """
    files = {file: store.file(name, file) for file in store.spec(name)["files"]}
    return _packed({**files, SPEC: store.folder(name) / SPEC})


def unpack_run(store: Store, name: str, parcel: bytes, manifest: Mapping[str, Any] | None = None) -> None:
    """Write a packed run folder into a store, unless it is there and whole.

    ``manifest`` replaces fields of its spec.json.

    Raises:
        UserError: it is not what was packed, or cannot be written.
    """
    if store.has(name):
        if not store.damage(name):
            return
        store.remove(name)
    files = _files(parcel)
    spec = json.loads(files.pop(SPEC))
    found = {file: hashlib.sha256(content).hexdigest() for file, content in files.items()}
    if found != spec["files"]:
        raise UserError(f"The run {name} arrived damaged; run the same command again.")
    with store.writing(name, {**spec, **(manifest or {})}) as scratch:
        for file, content in files.items():
            (scratch / file).write_bytes(content)


def pack_folders(root: Path, folders: tuple[str, ...], most_bytes: int) -> bytes:
    """Return all files of folders below ``root`` as bytes, the same for the same files; Python's caches are left out.

    Raises:
        UserError: they hold more than ``most_bytes``.
    """
    paths = [path for folder in folders for path in sorted((root / folder).rglob("*")) if path.is_file()]
    files = {path.relative_to(root).as_posix(): path for path in paths if "__pycache__" not in path.parts}
    size = sum(path.stat().st_size for path in files.values())
    if size > most_bytes:
        raise UserError(
            f"{' and '.join(folders)} of {root} hold {size / 1e6:.0f} MB, and at most {most_bytes / 1e6:.0f} MB travel "
            "to workers; move large files into the data root, or use a shared disk."
        )
    return _packed(files)


def unpack_folders(root: Path, parcel: bytes) -> None:
    """Write packed folders below ``root``.

    Raises:
        UserError: they cannot be written.
    """
    try:
        for name, content in _files(parcel).items():
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            (root / name).write_bytes(content)
    except OSError as error:
        raise (disk_error(root, error) if error.errno in DISK_ERRORS else error) from error


def parcel_digest(parcel: bytes) -> str:
    """Return the first hexadecimal digits of the SHA-256 of a parcel."""
    return hashlib.sha256(parcel).hexdigest()[:DIGEST_LENGTH]


def _packed(files: Mapping[str, Path]) -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as tar:
        for name, path in files.items():
            content, entry = path.read_bytes(), tarfile.TarInfo(name)
            entry.size = len(content)
            tar.addfile(entry, io.BytesIO(content))
    return packed.getvalue()


def _files(parcel: bytes) -> dict[str, bytes]:
    with tarfile.open(fileobj=io.BytesIO(parcel)) as tar:
        opened = {entry.name: tar.extractfile(entry) for entry in tar}
        return {name: file.read() for name, file in opened.items() if file is not None}

"""Content-addressed run folders: written under a scratch name, synced, then renamed, so whole or not at all."""

import errno
import hashlib
import json
import os
import shutil
import socket
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from robustbench_pix.errors import UserError
from robustbench_pix.identity import RECORD_VERSION

SPEC = "spec.json"
EXAMPLES = "examples.parquet"
PICTURES = "pictures.parquet"
EVIDENCE = "evidence.parquet"
WEIGHTS = "weights.safetensors"
PROGRESS = "progress"
SCRATCH = ".scratch"
DISK_ERRORS = frozenset({errno.ENOSPC, errno.EROFS, errno.EDQUOT, errno.EACCES, errno.EPERM, errno.EIO, errno.ENOTDIR})


class Store:
    """The folder ``runs/`` of a workspace; run folders are named ``<kind>-<id>``."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def folder(self, name: str) -> Path:
        """Return where the run of this name lies, or will."""
        return self.root / name

    def has(self, name: str) -> bool:
        """Return whether a run is there; folders appear whole or not at all."""
        return self.folder(name).is_dir()

    def has_model(self, model_id: str) -> bool:
        """Return whether the model of this id is there, trained or given."""
        return any(self.has(f"{kind}-{model_id}") for kind in ("train", "given"))

    def spec(self, name: str) -> dict[str, Any]:
        """Return a run's spec.json."""
        return dict(json.loads((self.folder(name) / SPEC).read_text(encoding="utf-8")))

    def damage(self, name: str) -> str | None:
        """Return what is wrong with a run's folder, or None: every file must have the digest that spec.json states."""
        try:
            spec = self.spec(name)
            files, identity = dict(spec["files"]), dict(spec["identity"])
        except (OSError, ValueError, KeyError, TypeError):
            return f"{SPEC} cannot be read"
        if identity.get("kind") == "attack" and identity.get("record") != RECORD_VERSION:
            return "recorded by another version"
        for file, expected in files.items():
            path = self.folder(name) / file
            if not path.is_file():
                return f"{file} is missing"
            if _file_digest(path) != expected:
                return f"{file} has changed"
        return None

    @contextmanager
    def writing(self, name: str, spec: dict[str, Any]) -> Iterator[Path]:
        """Give a scratch folder to write a run's files into; on success it becomes the run's folder.

        If somebody else finished the same run meanwhile, theirs stays and ours is discarded.

        Raises:
            UserError: the disk is full or read-only.
        """
        scratch = self._scratch(name)
        try:
            scratch.mkdir(parents=True)
            yield scratch
            (scratch / PROGRESS).unlink(missing_ok=True)
            digests = {path.name: _file_digest(path) for path in sorted(scratch.iterdir())}
            text = json.dumps({**spec, "files": digests}, indent=1, sort_keys=True, ensure_ascii=False, default=str)
            (scratch / SPEC).write_text(text + "\n", encoding="utf-8")
            for path in scratch.iterdir():
                _sync(path)
            _sync(scratch)
            try:
                scratch.rename(self.folder(name))
            except OSError:
                if not self.has(name):
                    raise
            _sync(self.root)
        except OSError as error:
            raise (disk_error(self.root, error) if error.errno in DISK_ERRORS else error) from error
        finally:
            shutil.rmtree(scratch, ignore_errors=True)

    def remove(self, name: str) -> None:
        """Remove a run's folder; it vanishes at once, under a scratch name first."""
        scratch = self._scratch(name)
        try:
            self.folder(name).rename(scratch)
        except OSError as error:
            raise disk_error(self.root, error) from error
        shutil.rmtree(scratch, ignore_errors=True)

    def _scratch(self, name: str) -> Path:
        return self.root / f"{SCRATCH}-{name}~{socket.gethostname()}~{os.getpid()}~{uuid.uuid4().hex[:8]}"

    def scratches(self) -> list[Path]:
        """Return the scratch folders, of living and dead processes."""
        return sorted(self.root.glob(f"{SCRATCH}-*"))

    def sweep(self) -> list[Path]:
        """Remove the scratch folders of dead processes of this machine, and return which."""
        dead = [path for path in self.scratches() if not self.is_alive(path)]
        for path in dead:
            shutil.rmtree(path, ignore_errors=True)
        return dead

    def is_alive(self, scratch: Path) -> bool:
        """Return whether the process that writes a scratch folder may still be at it; on another machine it may."""
        _, host, process, _ = scratch.name.split("~")
        if host != socket.gethostname():
            return True
        try:
            os.kill(int(process), 0)
        except ProcessLookupError:
            return False
        except PermissionError:
            return True
        return int(process) != os.getpid()

    def progress(self, name: str) -> float | None:
        """Return the fraction done of a run that some process is writing now, or None."""
        for path in self.root.glob(f"{SCRATCH}-{name}~*/{PROGRESS}"):
            try:
                return float(path.read_text())
            except (OSError, ValueError):
                continue
        return None


def disk_error(place: Path, error: OSError) -> UserError:
    """Return the sentence for a disk that is full or cannot be written."""
    reason = error.strerror or str(error)
    return UserError(
        f"Could not write to {place}: {reason}; make room or give another --workspace, and run the same command again: "
        "what was finished is kept."
    )


def _file_digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)

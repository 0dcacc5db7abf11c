"""Content-addressed run folders: written under a scratch name, synced, then renamed, so whole or not at all.

Whatever is read of one is held against its digest first.
"""

import copy
import errno
import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from robustbench_pix.errors import JobFailedError, UserError
from robustbench_pix.runs.heartbeat import beating
from robustbench_pix.runs.manifest import SPEC, Checked, checked_spec, file_digest, sealed
from robustbench_pix.runs.scratch import ALONE, AT_ONCE, SCRATCH, fate, locked, scratch_name, scratched_run

EXAMPLES = "examples.parquet"
PICTURES = "pictures.parquet"
EVIDENCE = "evidence.parquet"
NEAREST_KNOWN = "nearest.parquet"
WEIGHTS = "weights.safetensors"
LOG = "log.csv"
PROGRESS = "progress"
DISK_ERRORS = frozenset(
    {errno.ENOSPC, errno.EROFS, errno.EDQUOT, errno.EACCES, errno.EPERM, errno.EIO, errno.ENOTDIR, errno.EFBIG}
)
RUN_NAME = re.compile(r"[a-z]+-[0-9a-f]{16}")


class Store:
    """The folder ``runs/`` of a workspace; run folders are named ``<kind>-<id>``, the id being that of the identity."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def folder(self, name: str) -> Path:
        """Return where the run of this name lies, or will."""
        return self.root / name

    def runs(self) -> list[str]:
        """Return the names of all run folders, damaged ones included, sorted."""
        return sorted(path.name for path in self.root.glob("*-*") if RUN_NAME.fullmatch(path.name) and path.is_dir())

    def has(self, name: str) -> bool:
        """Return whether a run is there; folders appear whole or not at all."""
        return self.folder(name).is_dir()

    def has_model(self, model_id: str) -> bool:
        """Return whether the model of this id is there, trained or external."""
        return any(self.has(f"{kind}-{model_id}") for kind in ("train", "given"))

    def spec(self, name: str) -> dict[str, Any]:
        """Return what a run's spec.json says.

        Raises:
            UserError: it is not what was written there, or was written by another version.
        """
        found = self._checked(name)
        if found.fault:
            raise self._damaged(name, found.fault)
        return copy.deepcopy(found.spec)

    def fault(self, name: str) -> str | None:
        """Return what is wrong with a run's spec.json, or None."""
        return self._checked(name).fault

    def damage(self, name: str) -> str | None:
        """Return what is wrong with a run, or None: it must be there, spec.json and every file it names as written.

        Files that it does not name are never read.
        """
        found = self._checked(name)
        return found.fault or next(filter(None, (self._fault(name, file, found) for file in found.spec["files"])), None)

    def holds(self, name: str, file: str) -> bool:
        """Return whether a run wrote a file of this name, whatever became of it since."""
        return file in self._checked(name).spec.get("files", ())

    def file(self, name: str, file: str) -> Path:
        """Return the path of a run's file, which is as it was written.

        Raises:
            UserError: it is not, or spec.json is not.
        """
        found = self._checked(name)
        fault = found.fault or self._fault(name, file, found)
        if fault:
            raise self._damaged(name, fault)
        return self.folder(name) / file

    def _checked(self, name: str) -> Checked:
        try:
            return checked_spec(self.folder(name) / SPEC)
        except OSError:
            return Checked({}, f"{SPEC} cannot be read")

    def _fault(self, name: str, file: str, of: Checked) -> str | None:
        path = self.folder(name) / file
        try:
            if file not in of.spec["files"] or not path.is_file():
                return f"{file} is missing"
            return None if file_digest(path) == of.spec["files"][file] else f"{file} has changed"
        except OSError:
            return f"{file} cannot be read"

    def _damaged(self, name: str, fault: str) -> UserError:
        return UserError(
            f"{self.folder(name)} is damaged ({fault}); run the command that made it again, and it is made again."
        )

    @contextmanager
    def writing(self, name: str, spec: dict[str, Any]) -> Iterator[Path]:
        """Give a scratch folder to write a run's files into; on success it becomes the run's folder.

        If another process finished the same run meanwhile, its folder stays and ours is discarded.

        Raises:
            UserError: the disk is full or read-only.
        """
        scratch = self.root / scratch_name(name)
        try:
            scratch.mkdir(parents=True)
            with locked(scratch, ALONE | AT_ONCE), beating(scratch):
                yield scratch
                (scratch / PROGRESS).unlink(missing_ok=True)
                digests = {path.name: file_digest(path) for path in sorted(scratch.iterdir())}
                (scratch / SPEC).write_text(sealed({**spec, "files": digests}), encoding="utf-8")
                for path in scratch.iterdir():
                    sync(path)
                sync(scratch)
                try:
                    scratch.rename(self.folder(name))
                except OSError:
                    if not self.has(name):
                        if not scratch.exists():
                            raise JobFailedError(f"{scratch} was removed while it was written") from None
                        raise
            sync(self.root)
        except OSError as error:
            raise (disk_error(self.root, error) if error.errno in DISK_ERRORS else error) from error
        finally:
            shutil.rmtree(scratch, ignore_errors=True)

    def remove(self, name: str) -> None:
        """Remove a run's folder; it vanishes at once, under a scratch name first."""
        scratch = self.root / scratch_name(name)
        try:
            self.folder(name).rename(scratch)
        except OSError as error:
            raise disk_error(self.root, error) from error
        shutil.rmtree(scratch, ignore_errors=True)

    def scratches(self) -> list[Path]:
        """Return the scratch folders, of living and dead processes."""
        try:
            with os.scandir(self.root) as entries:  # It is quicker than a glob among 100,000 runs, once a second.
                return sorted(Path(one.path) for one in entries if one.name.startswith(f"{SCRATCH}-") and one.is_dir())
        except OSError:
            return []

    def sweep(self) -> list[Path]:
        """Remove the scratch folders that the dead left, and return which."""
        left = [path for path in self.scratches() if fate(path) == "left"]
        for path in left:
            shutil.rmtree(path, ignore_errors=True)
        return left

    def progress(self) -> dict[str, float]:
        """Return the fraction done of each run that some process is writing now, by its name."""
        found = ((scratched_run(path), progress_of(path)) for path in self.scratches())
        return {name: fraction for name, (fraction, _) in found if fraction is not None}


def progress_of(scratch: Path) -> tuple[float | None, str]:
    """Return the fraction done of what is written into a scratch folder, and its title; None and "" where unknown."""
    with suppress(OSError, ValueError):
        fraction, _, title = (scratch / PROGRESS).read_text().partition("\n")
        return float(fraction), title
    return None, ""


def disk_error(place: Path, error: OSError) -> UserError:
    """Return the sentence for a disk that is full or cannot be written."""
    reason = error.strerror or str(error)
    if error.errno == errno.EFBIG:
        return UserError(
            f"Could not write to {place}: a file would be larger than this shell allows; ulimit -f unlimited allows "
            "more, and the same command goes on: what was finished is kept."
        )
    return UserError(
        f"Could not write to {place}: {reason}; make room or give another --workspace, and run the same command again: "
        "what was finished is kept."
    )


def sync(path: Path) -> None:
    """Have a file or folder written to its disk before anything that follows."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)

"""Why jobs failed, a small file each beside the runs, so that it is known during a run and after a killed one.

A plan keeps the reasons too, but only once its command has ended.
"""

import json
import uuid
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from robustbench_pix.runs.job import Job

FAILED = ".failed"


class Failure(NamedTuple):
    """What a job that failed is called, and why it failed."""

    title: str
    reason: str


def note(root: Path, job: Job, reason: str) -> None:
    """Keep why a job failed.

    Raises:
        OSError: nothing can be written there.
    """
    path = root / FAILED / job.name
    path.parent.mkdir(exist_ok=True)
    half = path.with_name(f".{job.name}-{uuid.uuid4().hex[:8]}")
    half.write_text(json.dumps(Failure(job.title, reason)))
    half.replace(path)


def noted(root: Path) -> dict[str, Failure]:
    """Return what failed when it was last tried, by the names of the jobs."""
    found = {}
    for path in sorted((root / FAILED).glob("[!.]*")):
        with suppress(OSError, ValueError, TypeError):
            found[path.name] = Failure(*json.loads(path.read_bytes()))
    return found


def forget(root: Path, names: Iterable[str]) -> None:
    """Forget why jobs failed, since they are tried again."""
    wanted = set(names)
    for path in (root / FAILED).glob("*"):
        if path.name in wanted:
            path.unlink(missing_ok=True)


def forget_all(root: Path) -> None:
    """Forget all of them; plans keep those of their own jobs."""
    for path in (root / FAILED).glob("*"):
        path.unlink(missing_ok=True)

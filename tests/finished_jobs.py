"""What a job wrote is kept for a test session, and copied where a job of the same name is to be done again."""

import shutil
import uuid
from contextlib import contextmanager
from pathlib import Path

from robustbench_pix.runs import worker
from robustbench_pix.runs.store import PROGRESS

do = worker._do
"""Does a job, whatever was kept."""


@contextmanager
def kept(shelf: Path):
    """Copy from a folder what a job of the same name wrote; what is done for the first time is put there.

    The name of a job is the hash of everything that changes its files. Only its own files are copied: spec.json is
    written anew, with its own clock and seal. Jobs in other processes are not concerned.
    """
    before, worker._do = worker._do, lambda *arguments: _copied_or_done(shelf, *arguments)
    try:
        yield
    finally:
        worker._do = before


def _copied_or_done(shelf, job, store, scratch, device):
    folder = shelf / f"{job.name}-{device}"
    if folder.is_dir():
        shutil.copytree(folder, scratch, dirs_exist_ok=True)
        return
    yield from do(job, store, scratch, device)
    half = shelf / str(uuid.uuid4())
    shutil.copytree(scratch, half, ignore=shutil.ignore_patterns(PROGRESS))
    try:
        half.rename(folder)
    except OSError:  # Another worker was faster.
        shutil.rmtree(half)

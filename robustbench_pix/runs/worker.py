"""Do jobs in this process: on one thread where it is a CPU, reporting progress beside what they write."""

import logging
import time
from collections.abc import Callable, Generator
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from robustbench_pix.errors import JobFailedError, UserError
from robustbench_pix.foreign import foreign_code, raise_if_stopped
from robustbench_pix.runs.job import AttackJob, CheckJob, Job, NearestJob, TrainingJob, ValidationJob
from robustbench_pix.runs.job_log import JobLog, job_log
from robustbench_pix.runs.manifest import made_here
from robustbench_pix.runs.store import DISK_ERRORS, PROGRESS, Store

if TYPE_CHECKING:
    from robustbench_pix.training.side_by_side import SharedClock

Answer = TypeVar("Answer")

PROGRESS_EVERY_SECONDS = 0.5
DONE = object()
_device = "cpu"


def execute_here(jobs: list[Job], root: str) -> dict[str, str]:
    """Do jobs in this process, on its device; see ``execute``."""
    return execute(jobs, Store(Path(root)), _device)


def execute(jobs: list[Job], store: Store, device: str) -> dict[str, str]:
    """Do jobs side by side and put their folders into the store, unless they are there already.

    Returns:
        Why jobs failed, by their names; all others are done.

    Raises:
        UserError: nothing more can be done, such as on a full disk.
    """
    import torch

    from robustbench_pix.devices import current
    from robustbench_pix.training.side_by_side import SharedClock, side_by_side

    failed, clock, threads = dict[str, str](), SharedClock(), torch.get_num_threads()
    if device == "cpu":
        torch.set_num_threads(1)
    try:
        with current(device), job_log(store.root) as log:
            attempts = (log.steps(job.title, _attempt(job, store, device, clock, failed, log)) for job in jobs)
            side_by_side(attempts, device, clock)
    finally:
        torch.set_num_threads(threads)
    return failed


def _attempt(
    job: Job, store: Store, device: str, clock: "SharedClock", failed: dict[str, str], log: JobLog
) -> Generator[None, None, None]:
    if store.has(job.name):
        return
    spec = {**job.manifest, **made_here(device)}
    started = clock.now()
    log.say(logging.INFO, f"begins on {device}")
    try:
        with store.writing(job.name, spec) as scratch:
            yield from _do(job, store, scratch, device)
            spec["seconds"] = round(clock.now() - started, 3)
        log.say(logging.INFO, f"is done after {spec['seconds']} s")
    except JobFailedError as error:
        failed[job.name] = str(error)
        log.say(logging.ERROR, f"failed after {clock.now() - started:.3f} s: {error}", error.__cause__ or error)
    except Exception as error:
        log.say(logging.ERROR, f"ended the worker: {error}", error)
        raise


def _do(job: Job, store: Store, scratch: Path, device: str) -> Generator[None, None, None]:
    from robustbench_pix.runs.attack_job import run_attack, run_check, run_nearest
    from robustbench_pix.runs.training_job import run_training
    from robustbench_pix.runs.validation_job import run_validation

    progress = _reporter(scratch / PROGRESS, job.title)
    match job:
        case TrainingJob():
            steps = run_training(job, scratch, device=device, progress=progress)
            try:
                while not _reported(lambda: next(steps, DONE) is DONE, scratch):
                    yield
            finally:
                steps.close()
        case AttackJob():
            _reported(lambda: run_attack(job, store, scratch, device=device, progress=progress), scratch)
        case ValidationJob():
            _reported(lambda: run_validation(job, store, scratch, device=device, progress=progress), scratch)
        case CheckJob():
            _reported(lambda: run_check(job, store, scratch, device=device), scratch)
        case NearestJob():
            _reported(lambda: run_nearest(job, store, scratch, device=device), scratch)


def _reported(work: Callable[[], Answer], scratch: Path) -> Answer:
    """Do a piece of a job; what it raises is the reason why the job failed, unless nothing more can be written."""
    try:
        with foreign_code():
            return work()
    except UserError as error:
        raise_if_stopped(error)
        raise JobFailedError(str(error)) from error
    except Exception as error:
        raise_if_stopped(error)
        if _is_unwritable(error, scratch):
            raise
        raise JobFailedError(f"{type(error).__name__}: {error}") from error


def _is_unwritable(error: Exception, scratch: Path) -> bool:
    if not isinstance(error, OSError) or error.errno not in DISK_ERRORS:
        return False
    return error.filename is None or Path(error.filename).is_relative_to(scratch)


def _reporter(path: Path, title: str) -> Callable[[float], None]:
    """Return a function that writes the fraction done and what is done into a file, twice a second at most."""
    last = float("-inf")

    def report(fraction: float) -> None:
        nonlocal last
        now = time.monotonic()
        if now - last >= PROGRESS_EVERY_SECONDS:
            last = now
            path.write_text(f"{fraction:.4f}\n{title}")

    report(0.0)
    return report

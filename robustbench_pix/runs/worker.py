"""Do jobs in this process: on one thread where it is a CPU, reporting progress beside what they write."""

import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Callable, Generator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from robustbench_pix.errors import JobFailedError, UserError
from robustbench_pix.runs.description import described
from robustbench_pix.runs.jobs import Job
from robustbench_pix.runs.store import DISK_ERRORS, PROGRESS, Store

if TYPE_CHECKING:
    from robustbench_pix.training.side_by_side import SharedClock

PROGRESS_EVERY_SECONDS = 0.5
_device = "cpu"


def start_worker(devices: Any) -> None:
    """Prepare a worker process: take a device, leave Ctrl-C to the parent, end when the parent is gone."""
    global _device
    _device = devices.get()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def execute_here(jobs: list[Job], root: str) -> dict[str, str]:
    """Do jobs in a worker process, on the device that the worker took; see ``execute``."""
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
        with current(device):
            side_by_side((_attempt(job, store, device, clock, failed) for job in jobs), device, clock)
    finally:
        torch.set_num_threads(threads)
    return failed


def _attempt(
    job: Job, store: Store, device: str, clock: "SharedClock", failed: dict[str, str]
) -> Generator[None, None, None]:
    if store.has(job.name):
        return
    spec = described(job, device)
    started = clock.now()
    try:
        with store.writing(job.name, spec) as scratch:
            yield from _do(job, store, scratch, device)
            spec["seconds"] = round(clock.now() - started, 3)
    except JobFailedError as error:
        failed[job.name] = str(error)


def _do(job: Job, store: Store, scratch: Path, device: str) -> Generator[None, None, None]:
    from robustbench_pix.runs.attack_job import run_attack
    from robustbench_pix.runs.check_job import run_check
    from robustbench_pix.runs.training_job import run_training

    progress = _reporter(scratch / PROGRESS)
    try:
        if job.kind == "train":
            yield from run_training(job, scratch, device=device, progress=progress)
        elif job.kind == "check":
            run_check(job, store, scratch, device=device)
        else:
            run_attack(job, store, scratch, device=device, progress=progress)
    except OSError as error:
        if error.errno in DISK_ERRORS and (error.filename is None or Path(error.filename).is_relative_to(scratch)):
            raise
        raise JobFailedError(f"{type(error).__name__}: {_one_line(error)}") from error
    except UserError as error:
        raise JobFailedError(_one_line(error)) from error
    except Exception as error:
        raise JobFailedError(f"{type(error).__name__}: {_one_line(error)}") from error


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())


def _reporter(path: Path) -> Callable[[float], None]:
    """Return a function that writes the fraction done into a file, twice a second at most."""
    last = 0.0

    def report(fraction: float) -> None:
        nonlocal last
        now = time.monotonic()
        if now - last >= PROGRESS_EVERY_SECONDS:
            last = now
            path.write_text(f"{fraction:.4f}")

    return report


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)

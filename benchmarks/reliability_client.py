"""A client of a store whose jobs only write a file, for ``reliability.py``, which kills it and its workers.

    python benchmarks/reliability_client.py FOLDER LOG SEED

Each job is done in a process of its own. LOG gets a line when a job begins and when its folder is there.
"""

import ctypes
import hashlib
import os
import random
import signal
import sys
import time
from collections.abc import Callable
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

from robustbench_pix.identity import RECORD_VERSION
from robustbench_pix.runs.claims import Claims, forget_dead_claims
from robustbench_pix.runs.clients import RUN, at_work, forget_dead, wait_for_cleaners
from robustbench_pix.runs.executors import WorkerDiedError
from robustbench_pix.runs.identities import Identity
from robustbench_pix.runs.job import Context, Job
from robustbench_pix.runs.progress import Watcher
from robustbench_pix.runs.scheduler import carry_out
from robustbench_pix.runs.store import Store

MODELS, ATTACKS, WORKERS = 8, 3, 2
LONGEST_JOB_SECONDS = 0.5
PARENT_DEATH_SIGNAL = 1
"""PR_SET_PDEATHSIG of Linux: a job's process ends with its client, as worker processes do."""


class Numbered(Identity):
    """An identity that is a number."""

    number: int
    record: int = RECORD_VERSION


def jobs() -> list[Job]:
    """Return some trainings, each with its attacks."""
    found = []
    for number in range(MODELS):
        model = Job(Numbered(kind="train", number=number), Context(title=f"model {number}"))
        numbers = range(number * ATTACKS, (number + 1) * ATTACKS)
        attacks = [Numbered(kind="attack", number=attack) for attack in numbers]
        found += [model, *(Job(attack, Context(title=f"attack {attack.number}"), (model.name,)) for attack in attacks)]
    return found


def content(job: Job) -> bytes:
    """Return what a job writes."""
    return hashlib.sha256(job.name.encode()).digest() * 1000


class Forking(Executor):
    """Does each submission in a process of its own."""

    def __init__(self, log: Path) -> None:
        self.log, self.threads = log, ThreadPoolExecutor(WORKERS)

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        """Return the future of jobs that a process does."""
        return self.threads.submit(self._do, *args)

    def _do(self, bundle: list[Job], root: str) -> dict[str, str]:
        process = os.fork()
        if process == 0:
            try:
                ctypes.CDLL(None).prctl(PARENT_DEATH_SIGNAL, signal.SIGKILL)
                for job in bundle:
                    self._write(job, Store(Path(root)))
            finally:
                os._exit(0)
        _, status = os.waitpid(process, 0)
        if os.WIFSIGNALED(status):
            raise WorkerDiedError("was killed")
        return {}

    def _write(self, job: Job, store: Store) -> None:
        note(self.log, f"begin {job.name}")
        with store.writing(job.name, job.manifest) as scratch:
            time.sleep(random.random() * LONGEST_JOB_SECONDS)
            (scratch / "data").write_bytes(content(job))
        note(self.log, f"done {job.name}")


def note(log: Path, text: str) -> None:
    """Add a line to a file that many processes write."""
    descriptor = os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    os.write(descriptor, f"{text}\n".encode())
    os.close(descriptor)


def main() -> None:
    """Do all jobs that are missing."""
    root, log = Path(sys.argv[1]), Path(sys.argv[2])
    random.seed(int(sys.argv[3]))
    store = Store(root)
    with at_work(root, RUN) as client:
        wait_for_cleaners(root)
        forget_dead(root)
        forget_dead_claims(root)
        store.sweep()
        missing = [job for job in jobs() if store.damage(job.name)]
        claims, executor = Claims(root, client), Forking(log)
        failed = carry_out(missing, store, executor, Watcher(), claims, slots=lambda: WORKERS, deaths=1000)
    sys.exit(bool(failed))


if __name__ == "__main__":
    main()

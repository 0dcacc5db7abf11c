"""Carry out a plan on any ``concurrent.futures.Executor``: what is ready is submitted, what is finished is reported."""

from collections.abc import Callable, Iterable
from concurrent.futures import FIRST_COMPLETED, Executor, Future, wait
from concurrent.futures.process import BrokenProcessPool
from math import ceil
from typing import Protocol

from robustbench_pix.errors import UserError
from robustbench_pix.runs.jobs import Job
from robustbench_pix.runs.store import Store
from robustbench_pix.runs.worker import execute_here

POLL_SECONDS = 0.25


class Watcher(Protocol):
    """Is told what happens to jobs."""

    def started(self, total: int, kept: int) -> None:
        """So many jobs are to be done, and so many were there already."""

    def finished(self, job: Job, reason: str | None) -> None:
        """A job is done, or failed for a reason."""

    def tick(self, running: list[Job]) -> None:
        """A moment has passed; these jobs have been submitted and are not finished."""


def missing_jobs(jobs: Iterable[Job], store: Store, *, report: Callable[[str], None], remove: bool = True) -> list[Job]:
    """Return the jobs whose folders are not there; a damaged folder is named, removed, and counts as missing.

    A training that only serves attacks which are all there is still wanted: its weights are part of the result.
    """
    missing = []
    for job in jobs:
        damage = store.damage(job.name) if store.has(job.name) else None
        if damage:
            report(f"{store.folder(job.name)} is damaged ({damage}); it is made again.")
            if remove:
                store.remove(job.name)
        if damage or not store.has(job.name):
            missing.append(job)
    return missing


def carry_out(
    jobs: list[Job], store: Store, executor: Executor, watcher: Watcher, *, slots: int, together: int = 1
) -> dict[str, str]:
    """Do jobs, each once what it needs is there, in their order.

    At most ``slots`` submissions run at a time; one is an attack, or up to ``together`` trainings. A job that fails
    takes those that need it along; all others are done. The names of jobs that failed are returned with the reasons.

    Raises:
        UserError: nothing more can be written, or a worker died; what was finished is kept.
    """
    failed, waiting, running = dict[str, str](), list(jobs), dict[Future[dict[str, str]], list[Job]]()
    unfinished = {job.name for job in jobs}
    while waiting or running:
        for job in list(waiting):
            broken = [name for name in job.needs if name in failed]
            if broken:
                waiting.remove(job)
                failed[job.name] = failed[broken[0]]
                unfinished.discard(job.name)
                watcher.finished(job, failed[job.name])
        while len(running) < slots:
            ready = [job for job in waiting if not any(name in unfinished for name in job.needs)]
            if not ready:
                break
            bundle = _bundle(ready, min(together, ceil(len(ready) / (slots - len(running)))))
            waiting = [job for job in waiting if job not in bundle]
            running[executor.submit(execute_here, bundle, str(store.root))] = bundle
        done, _ = wait(running, timeout=POLL_SECONDS, return_when=FIRST_COMPLETED)
        for future in done:
            reasons = _reasons(future)
            for job in running.pop(future):
                unfinished.discard(job.name)
                watcher.finished(job, reasons.get(job.name))
            failed |= reasons
        watcher.tick([job for bundle in running.values() for job in bundle])
    return failed


def _bundle(ready: list[Job], together: int) -> list[Job]:
    """Return what is submitted next: the first job, with other trainings if it is one."""
    first = ready[0]
    return [job for job in ready if job.kind == "train"][:together] if first.kind == "train" else [first]


def _reasons(future: Future[dict[str, str]]) -> dict[str, str]:
    """Return why jobs of a submission failed, by name; what stops everything is raised."""
    try:
        return future.result()
    except BrokenProcessPool as error:
        raise UserError(
            "A worker process ended early: memory ran out (--workers 1 takes less), or a script called run() outside "
            "`if __name__ == '__main__':`; what was finished is kept, so mend that and run it again."
        ) from error

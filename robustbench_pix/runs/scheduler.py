"""Carry out jobs in their order, beside whatever other clients of the same store do."""

import time
from collections.abc import Callable
from concurrent.futures import Executor, Future
from contextlib import suppress
from queue import Empty, SimpleQueue

from robustbench_pix.runs.claims import Claims
from robustbench_pix.runs.executors import WorkerDiedError
from robustbench_pix.runs.failures import note
from robustbench_pix.runs.job import Job
from robustbench_pix.runs.progress import Watcher
from robustbench_pix.runs.ready_jobs import ReadyJobs
from robustbench_pix.runs.store import Store
from robustbench_pix.runs.worker import execute_here

POLL_SECONDS = 0.25
LOOK_SECONDS = 2.0
UNSEEN_SECONDS = 120.0
"""For so long a network file system may hide a folder that a worker on another machine has written."""

UNSEEN = (
    "its worker wrote a folder that is not to be seen here; let all workers share the disk of the workspace, or say "
    "shared_disk = false in the cluster's file"
)
TIMES = {1: "", 2: ", twice", 3: ", three times"}

Reasons = dict[str, str]
"""Why jobs failed, by their names."""


def carry_out(
    jobs: list[Job], store: Store, executor: Executor, watcher: Watcher, claims: Claims,
    *, slots: Callable[[], int], together: int = 1, deaths: int = 2,
) -> Reasons:  # fmt: skip
    """Do jobs, each once what it needs is there, in their order, but the last trainings before attacks.

    At most ``slots()`` submissions run at a time; one is an attack, or up to ``together`` trainings. A job that fails
    takes those that need it along; all others are done. A job whose worker dies is tried again, alone, and given up
    with the death number ``deaths``. What another client does is waited for, and done here should that client die.

    Raises:
        UserError: nothing more can be written, or no worker can be begun; what was finished is kept.
    """
    work = _Work(jobs, store, executor, watcher, claims, deaths)
    try:
        while work.is_left:
            work.look_elsewhere()
            while len(work.running) < slots() and work.ready.count:
                work.submit(slots(), together)
            work.await_some()
    finally:
        claims.release_all()
    return work.failed


class _Work:
    """What is done of some jobs, and what is under way here and elsewhere."""

    def __init__(
        self, jobs: list[Job], store: Store, executor: Executor, watcher: Watcher, claims: Claims, deaths: int
    ) -> None:
        self.store, self.executor, self.watcher, self.claims = store, executor, watcher, claims
        self.ready, self.failed, self.deaths_allowed = ReadyJobs(jobs), Reasons(), deaths
        self.running, self.elsewhere = dict[Future[Reasons], list[Job]](), dict[str, Job]()
        self.unseen = dict[str, tuple[Job, float]]()
        self.ended, self.deaths, self.looked = SimpleQueue[Future[Reasons]](), dict[str, int](), 0.0

    @property
    def is_left(self) -> bool:
        """Whether anything is to be done or waited for."""
        return bool(self.ready.count or self.running or self.elsewhere or self.unseen)

    def look_elsewhere(self) -> None:
        """Take what other clients finished, what they left, and what workers wrote that was not to be seen yet."""
        if not (self.elsewhere or self.unseen) or time.monotonic() - self.looked < LOOK_SECONDS:
            return
        self.looked = time.monotonic()
        for job, since in list(self.unseen.values()):
            is_there = self.store.has(job.name)
            if is_there or time.monotonic() - since > UNSEEN_SECONDS:
                del self.unseen[job.name]
                self._finish(job, None if is_there else UNSEEN)
        for job in list(self.elsewhere.values()):
            if self.store.has(job.name):
                del self.elsewhere[job.name]
                self._finish(job, None)
            elif not self.claims.is_elsewhere(job.name):
                self.ready.put_back(self.elsewhere.pop(job.name))

    def submit(self, slots: int, together: int) -> None:
        """Submit the next jobs that no other client does."""
        free = slots - len(self.running)
        bundle = []
        for job in self.ready.take(free=free, slots=slots, together=together, alone=self.deaths):
            if not self.claims.take(job.name):
                self.elsewhere[job.name] = job
            elif self.store.has(job.name):  # Another client finished it meanwhile.
                self._finish(job, None)
            else:
                bundle.append(job)
        if bundle:
            future = self.executor.submit(execute_here, bundle, str(self.store.root))
            self.running[future] = bundle
            future.add_done_callback(self.ended.put)

    def await_some(self) -> None:
        """Wait a moment for a submission to end, and take what has ended."""
        ended = []
        with suppress(Empty):
            if self.running or ((self.elsewhere or self.unseen) and not self.ready.count):
                ended.append(self.ended.get(timeout=POLL_SECONDS))
            while True:
                ended.append(self.ended.get_nowait())
        for future in ended:
            self._take(self.running.pop(future), future)
        self.watcher.tick([job for bundle in self.running.values() for job in bundle])

    def _take(self, bundle: list[Job], future: Future[Reasons]) -> None:
        again: list[Job] = []
        try:
            reasons = future.result()
        except WorkerDiedError as death:
            lost = [job for job in bundle if not self.store.has(job.name)]
            reasons = Reasons()
            for job in lost:
                times = self.deaths[job.name] = self.deaths.get(job.name, 0) + death.times
                if times >= self.deaths_allowed:
                    reasons[job.name] = f"its worker process {death}{TIMES.get(times, f', {times} times')}"
                else:
                    again.append(job)
        for job in bundle:
            if job in again:
                self.claims.release(job.name)
                self.ready.put_back(job)
            elif job.name in reasons or self.store.has(job.name):
                self._finish(job, reasons.get(job.name))
            else:
                self.unseen[job.name] = job, time.monotonic()

    def _finish(self, job: Job, reason: str | None) -> None:
        if reason is None:
            self.claims.finish(job.name)
            self.watcher.finished(job, None)
            self.ready.finished(job.name)
            return
        self.claims.release(job.name)
        for lost in (job, *self.ready.failed(job.name)):
            self.failed[lost.name] = reason
            note(self.store.root, lost, reason)
            self.watcher.finished(lost, reason)

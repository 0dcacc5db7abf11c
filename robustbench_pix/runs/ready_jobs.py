"""Which jobs can be done now: those that need nothing more, in their order, the last trainings before all else."""

from collections import defaultdict
from collections.abc import Sequence
from heapq import heappop, heappush
from math import ceil

from robustbench_pix.runs.job import Job


class ReadyJobs:
    """Jobs that wait for what they need, or for a slot; each operation costs the logarithm of their number."""

    def __init__(self, jobs: Sequence[Job]) -> None:
        self.jobs = {job.name: job for job in jobs}
        self.order = {job.name: place for place, job in enumerate(jobs)}
        self.lacking = {job.name: sum(need in self.jobs for need in job.needs) for job in jobs}
        self.dependents = defaultdict[str, list[str]](list)
        self.trainings, self.others = list[int](), list[int]()
        self.names = [job.name for job in jobs]
        self.waiting_trainings = 0
        for job in jobs:
            for need in job.needs:
                self.dependents[need].append(job.name)
            self.waiting_trainings += job.kind == "train"
            if not self.lacking[job.name]:
                self._push(job)

    @property
    def count(self) -> int:
        """The number of jobs that can be done now."""
        return len(self.trainings) + len(self.others)

    def take(self, *, free: int, slots: int, together: int, alone: dict[str, int]) -> list[Job]:
        """Return what is submitted next into one of ``free`` of ``slots`` slots; at least one job is ready.

        That is one job, or up to ``together`` trainings; jobs named in ``alone`` go alone.
        """
        hurry = bool(self.trainings) and self.waiting_trainings < slots  # Nobody is to wait for the last one alone.
        trains_first = hurry or not self.others or (bool(self.trainings) and self.trainings[0] < self.others[0])
        if not trains_first:
            return [self._pop(self.others)]
        most, bundle, later = min(together, ceil(self.count / free)), list[Job](), list[Job]()
        while self.trainings and len(bundle) < most:
            job = self._pop(self.trainings)
            if job.name in alone and bundle:
                later.append(job)
                continue
            bundle.append(job)
            if job.name in alone:
                break
        for job in later:
            self.put_back(job)
        return bundle

    def put_back(self, job: Job) -> None:
        """Let a job that was taken wait for a slot again."""
        self.waiting_trainings += job.kind == "train"
        self._push(job)

    def finished(self, name: str) -> None:
        """Let the jobs that needed this one go on."""
        for dependent in self.dependents.pop(name, ()):
            if dependent in self.lacking:
                self.lacking[dependent] -= 1
                if not self.lacking[dependent]:
                    self._push(self.jobs[dependent])

    def failed(self, name: str) -> list[Job]:
        """Return the jobs that need this one, or another such; they are waited for no more."""
        lost: list[Job] = []
        for dependent in self.dependents.pop(name, ()):
            if self.lacking.pop(dependent, 0):
                job = self.jobs[dependent]
                self.waiting_trainings -= job.kind == "train"
                lost += [job, *self.failed(dependent)]
        return lost

    def _push(self, job: Job) -> None:
        heappush(self.trainings if job.kind == "train" else self.others, self.order[job.name])

    def _pop(self, heap: list[int]) -> Job:
        job = self.jobs[self.names[heappop(heap)]]
        self.waiting_trainings -= job.kind == "train"
        return job

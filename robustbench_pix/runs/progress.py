"""The progress of a run: a bar for each running job on a terminal, else a line for each finished one, or nothing."""

import logging
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Hashable, Mapping, Sequence

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from robustbench_pix.runs.job import AttackJob, CheckJob, Job, NearestJob, TrainingJob, ValidationJob
from robustbench_pix.runs.store import Store
from robustbench_pix.runs.typical_seconds import TypicalSeconds

logger = logging.getLogger(__name__)

LOOK_EVERY_SECONDS = 1.0


class Watcher:
    """Logs one line for each finished job at level INFO, which Python does not show by default."""

    def __init__(self) -> None:
        self.total, self.done, self.began = 0, 0, time.monotonic()

    def say(self, text: str) -> None:
        """Log a line."""
        logger.info(text)

    def started(self, jobs: Sequence[Job], kept: Sequence[Job]) -> None:
        """Say how much there is to do; ``kept`` were finished before."""
        self.total, self.done, self.began = len(jobs), 0, time.monotonic()
        self.say(summary(len(jobs), len(kept)))

    def finished(self, job: Job, reason: str | None) -> None:
        """Say what was done, or the reason why not."""
        self.done += 1
        seconds = time.monotonic() - self.began
        self.say(f"[{self.done}/{self.total}, {seconds:.0f} s] {job.title}{f': failed, {reason}' if reason else ''}")

    def tick(self, running: list[Job]) -> None:
        """A moment has passed; these jobs have been submitted and are not finished."""


class LineWatcher(Watcher):
    """Writes the lines to standard error."""

    def say(self, text: str) -> None:
        """Write a line."""
        print(text, file=sys.stderr, flush=True)


class BarWatcher(Watcher):
    """Shows a bar for each running job and one for all, weighted by typical seconds, with the time left."""

    def __init__(self, console: Console, store: Store) -> None:
        super().__init__()
        self.store, self.console = store, console
        self.progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=None),
            TextColumn("{task.percentage:>3.0f}%"),
            TimeElapsedColumn(),
            TextColumn("left"),
            TimeRemainingColumn(),
            console=console,
            transient=True,
            expand=True,
        )
        self.bars: dict[str, TaskID] = {}
        self.looked = 0.0
        self.all: TaskID | None = None
        self.typical, self.ended, self.left = TypicalSeconds(store), Counter[Hashable](), Counter[Hashable]()

    def __enter__(self) -> "BarWatcher":
        self.progress.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self.progress.stop()

    def say(self, text: str) -> None:
        """Write a line above the bars."""
        self.progress.console.print(text, style="yellow", highlight=False, markup=False)

    def started(self, jobs: Sequence[Job], kept: Sequence[Job]) -> None:
        """Begin the bar of all jobs, in place of that of earlier ones."""
        if self.all is not None:
            self.progress.remove_task(self.all)
        self.progress.console.print(summary(len(jobs), len(kept)), style="dim", highlight=False)
        for job in kept:
            self.typical.learn(group_of(job), job.name)
        self.ended, self.left = Counter(), Counter(map(group_of, jobs))
        self.all = self.progress.add_task("all jobs", total=1.0)

    def finished(self, job: Job, reason: str | None) -> None:
        """End a job's bar; a failure leaves a line."""
        bar = self.bars.pop(job.name, None)
        if bar is not None:
            self.progress.remove_task(bar)
        if reason:
            self.say(f"{job.title}: failed, {reason}")
        else:
            self.typical.learn(group_of(job), job.name)
        self.ended[group_of(job)] += 1
        self.left[group_of(job)] -= 1
        self._move_all({})

    def tick(self, running: list[Job]) -> None:
        """Move the bars of running jobs, once a second at most."""
        if time.monotonic() - self.looked < LOOK_EVERY_SECONDS:
            return
        self.looked, fractions = time.monotonic(), self.store.progress()
        for job in running:
            fraction = fractions.get(job.name)
            if fraction is None:
                continue
            if job.name not in self.bars:
                self.bars[job.name] = self.progress.add_task(job.title, total=1.0)
            self.progress.update(self.bars[job.name], completed=fraction)
        under_way = defaultdict[Hashable, float](float)
        for job in running:
            under_way[group_of(job)] += fractions.get(job.name, 0.0)
        self._move_all(under_way)

    def _move_all(self, under_way: Mapping[Hashable, float]) -> None:
        """Move the bar of all jobs; ``under_way`` are the sums of the fractions done of running ones, by groups."""
        if self.all is None:
            return
        weights = self.typical.weights({*self.ended, *self.left})
        done = sum(weights[group] * (self.ended[group] + under_way.get(group, 0.0)) for group in weights)
        whole = sum(weights[group] * (self.ended[group] + self.left[group]) for group in weights)
        self.progress.update(self.all, completed=done / whole)


def group_of(job: Job) -> Hashable:
    """Return what jobs of one command share that take about as long: kind, attack and task."""
    match job:
        case TrainingJob():
            return job.kind, job.context.task
        case AttackJob() | ValidationJob():
            return job.kind, job.identity.task, job.context.attack
        case CheckJob() | NearestJob():
            return job.kind, job.identity.task
    return job.kind


def summary(total: int, kept: int) -> str:
    """Return what is to be done, in a sentence.

    >>> summary(3, 4)
    '3 jobs to do, 4 finished before and kept.'
    """
    if total + kept == 0:
        return "Nothing to do: no recipe can run; the table says why."
    if total == 0:
        return f"Nothing to do: all {kept} jobs were finished before."
    before = f", {kept} finished before and kept" if kept else ""
    return f"{total} job{'s' if total > 1 else ''} to do{before}."

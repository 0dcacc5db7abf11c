"""The progress of a run: a bar for each running job on a terminal, else a line for each finished one, or nothing."""

import logging
import sys
import time

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from robustbench_pix.runs.job import Job
from robustbench_pix.runs.store import Store

logger = logging.getLogger(__name__)

LOOK_EVERY_SECONDS = 1.0


class Watcher:
    """Logs one line for each finished job at level INFO, which Python does not show by default."""

    def __init__(self) -> None:
        self.total, self.done, self.began = 0, 0, time.monotonic()

    def say(self, text: str) -> None:
        """Log a line."""
        logger.info(text)

    def started(self, total: int, kept: int) -> None:
        """Say how much there is to do; ``kept`` jobs were finished before."""
        self.total, self.done, self.began = total, 0, time.monotonic()
        self.say(summary(total, kept))

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
    """Shows a bar for each running job and one for all, with the time left."""

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

    def __enter__(self) -> "BarWatcher":
        self.progress.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self.progress.stop()

    def say(self, text: str) -> None:
        """Write a line above the bars."""
        self.progress.console.print(text, style="yellow", highlight=False, markup=False)

    def started(self, total: int, kept: int) -> None:
        """Begin the bar of all jobs, in place of that of earlier ones."""
        if self.all is not None:
            self.progress.remove_task(self.all)
        self.progress.console.print(summary(total, kept), style="dim", highlight=False)
        self.all = self.progress.add_task("all jobs", total=total)

    def finished(self, job: Job, reason: str | None) -> None:
        """End a job's bar; a failure leaves a line."""
        bar = self.bars.pop(job.name, None)
        if bar is not None:
            self.progress.remove_task(bar)
        if reason:
            self.say(f"{job.title}: failed, {reason}")
        if self.all is not None:
            self.progress.advance(self.all)

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

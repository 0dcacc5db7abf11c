"""What became of the jobs of a workspace so far, from its files alone, so that any machine that sees the disk can tell.

A run folder that is there counts as done; whether it is as it was written is not checked.
"""

import os
from collections import Counter, defaultdict
from collections.abc import Hashable, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from robustbench_pix.runs.claims import CLAIM, holder
from robustbench_pix.runs.clients import RUN, Client, living
from robustbench_pix.runs.failures import Failure, noted
from robustbench_pix.runs.plan_store import SETTING, PlannedRow, combination_name, saved_rows
from robustbench_pix.runs.request import EXTERNAL_SEED
from robustbench_pix.runs.scratch import SCRATCH, fate, scratched_run, writer
from robustbench_pix.runs.store import RUN_NAME, Store, progress_of
from robustbench_pix.runs.typical_seconds import TypicalSeconds

STATES = ("done", "running", "waiting", "failed")

OF_TIME = tuple(name for name in SETTING if name not in ("suite", "suite_version", "protocol", "regularization_data"))
"""Facts that change what a job takes."""


class PlannedJob(NamedTuple):
    """A job of a plan: what it is called, and what it shares with jobs that take about as long."""

    title: str
    group: Hashable


class Running(NamedTuple):
    """A job that somebody does: its name and title, where, and the fraction done, from 0 to 1, or None."""

    job: str
    title: str
    host: str
    process: str
    fraction: float | None


class Failed(NamedTuple):
    """Jobs that failed for one reason; ``title`` is that of the first."""

    title: str
    jobs: list[str]
    reason: str


@dataclass(frozen=True)
class Status:
    """What became of the jobs of a workspace.

    Attributes:
        rows: of each recipe in each setting the numbers of its jobs; jobs that rows share count in each of them.
        jobs: the numbers of all jobs by state, each job once.
        clients: the commands at work.
        seconds: what the jobs that are not done would take one by one, as far as is known; ``unknown`` of them count
            nothing, since no job like them is finished.
    """

    rows: list[dict[str, Any]]
    jobs: dict[str, int]
    clients: list[Client]
    running: list[Running]
    failed: list[Failed]
    seconds: float
    unknown: int

    @property
    def seconds_left(self) -> float | None:
        """The time left with as many jobs at a time as run now, or None where none does."""
        return self.seconds / len(self.running) if self.running else None


class _Folder(NamedTuple):
    """What one look at the folder of runs found: names of run folders, names of claimed jobs, scratch folders."""

    runs: set[str]
    claimed: list[str]
    scratches: list[Path]


def status_of(store: Store) -> Status:
    """Return what became of the jobs of a store so far."""
    rows, folder, clients = saved_rows(store), _look(store.root), living(store.root)
    planned = {name: job for row in rows for name, job in _jobs(row)}
    failures = {name: Failure(planned[name].title, reason) for row in rows for name, reason in row.failed.items()}
    failures |= noted(store.root)
    running = {one.job: one for one in _running(store, folder, clients, planned)}

    def state(name: str) -> str:
        if name in folder.runs:
            return "done"
        return "running" if name in running else "failed" if name in failures else "waiting"

    states = {name: state(name) for name in planned}
    typical, left = TypicalSeconds(store), Counter[Hashable]()
    for name, job in planned.items():
        if states[name] == "done":
            typical.learn(job.group, name)
        elif states[name] != "failed":
            left[job.group] += 1
    seconds, unknown = typical.of_all(left)
    for name, under_way in running.items():
        if under_way.fraction and name in planned:
            seconds -= under_way.fraction * (typical.of(planned[name].group) or 0.0)
    reasons = defaultdict[str, list[str]](list)
    for name, failure in failures.items():
        if name not in folder.runs and name not in running:
            reasons[failure.reason].append(name)
    return Status(
        rows=[_row(row, states) for row in rows if row.runs],
        jobs=_counts(states.values()),
        clients=[client for client in clients if client.purpose == RUN],
        running=sorted(running.values(), key=lambda one: (one.host, one.process, one.title)),
        failed=[Failed(failures[names[0]].title, names, reason) for reason, names in reasons.items()],
        seconds=seconds,
        unknown=int(unknown),
    )


def _look(root: Path) -> _Folder:
    found = _Folder(set(), [], [])
    with suppress(OSError), os.scandir(root) as entries:
        for entry in entries:
            if entry.name.startswith(SCRATCH):
                found.scratches.append(Path(entry.path))
            elif entry.name.startswith(CLAIM):
                found.claimed.append(entry.name.removeprefix(CLAIM))
            elif RUN_NAME.fullmatch(entry.name) and entry.is_dir():
                found.runs.add(entry.name)
    return found


def _jobs(row: PlannedRow) -> Iterator[tuple[str, PlannedJob]]:
    facts = row.facts
    size = "" if facts["size"] == "full" else f", {facts['size']}"
    shared = tuple(facts[name] for name in OF_TIME)
    for run in row.runs:
        seed = "" if run.seed == EXTERNAL_SEED else f", seed {run.seed}"
        on = f"{combination_name(facts)}{size}{seed}"
        yield run.model, PlannedJob(f"train {row.recipe} on {on}", ("train", *shared))
        yield run.run, PlannedJob(f"{run.attack} on {row.recipe}, {on}", (run.attack, *shared))


def _running(
    store: Store, folder: _Folder, clients: list[Client], planned: Mapping[str, PlannedJob]
) -> Iterator[Running]:
    """Give what clients that live claim, and then what is being written, of which more is known."""
    by_name = {client.name: client for client in clients}

    def title(name: str) -> str:
        return planned[name].title if name in planned else name

    for name in folder.claimed:
        client = by_name.get(holder(store.root, name) or "")
        if client and name not in folder.runs:
            yield Running(name, title(name), client.process.host, client.process.process, None)
    for scratch in folder.scratches:
        who, name = writer(scratch), scratched_run(scratch)
        if who and name not in folder.runs and fate(scratch) == "written":
            fraction, said = progress_of(scratch)
            yield Running(name, said or title(name), who.host, who.process, fraction)


def _row(row: PlannedRow, states: Mapping[str, str]) -> dict[str, Any]:
    facts, names = row.facts, dict.fromkeys(name for run in row.runs for name in (run.model, run.run))
    return {
        "recipe": row.recipe,
        "on": combination_name(facts),
        **{name: facts[name] for name in SETTING if name not in ("task", "regularization_data")},
        **_counts(states[name] for name in names),
    }


def _counts(states: Iterable[str]) -> dict[str, int]:
    counted = Counter(states)
    return {state: counted[state] for state in STATES}

"""What 100,000 jobs cost beside their work: planning, resuming, looking, scheduling, and a Dask scheduler.

python benchmarks/scale.py [--output FOLDER] [--tiny]

Digits, recipes x seeds models under attacks of noise; no job does anything. Each line is measured in a fresh process.
"""

import resource
import sys
import tempfile
from collections.abc import Callable
from concurrent.futures import Executor, Future
from importlib.util import find_spec
from pathlib import Path
from queue import SimpleQueue
from threading import Thread
from typing import Any, NamedTuple

import click

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks import options
from benchmarks.processes import in_a_fresh_process
from benchmarks.report import Report, Row, Table
from benchmarks.timing import now

RECIPE = 'summary = "x"\nregularizer = "similarity"\n[parameters]\ntarget = "pixel"\nalpha = {number}.5\n'
ATTACK = (
    'summary = "x"\nattack = "gaussian-noise"\naccess = "none"\nstrength = "sigma"\n'
    "[strengths]\ndefault = [0.0, 0.{number:03}, 1.0]\n"
)
SUITE = 'version = 1\nsummary = "x"\nattacks = {attacks}\n'
FILE = "examples.parquet"
NOTE = (
    "Planned: every mistake looked for, and the plan saved. Resumed: planned, every file of all run folders read and "
    "checked, and the plan saved; no table is shown. Told: what `rbp status` reads and counts. Scheduled: claimed, "
    "submitted and taken by an executor that does nothing. Dask: the same through a scheduler with two workers on this "
    "machine, to which the jobs are sent. Clock: others on the machine count too. Processor and memory (the most "
    "that was held): of the process alone."
)


class Scale(NamedTuple):
    """How many models stand under how many attacks."""

    recipes: int
    seeds: int
    attacks: int

    @property
    def jobs(self) -> int:
        """The number of jobs."""
        return self.recipes * self.seeds * (1 + self.attacks)


class Cost(NamedTuple):
    """Seconds by the clock and of the processor for so many jobs, and the gigabytes that the process held at most."""

    jobs: int
    seconds: float
    processor_seconds: float
    gigabytes: float


class Idle(Executor):
    """Does nothing but make the folder of a job, at once."""

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> "Future[Any]":
        """Return a future that is done."""
        _make_folders(*args)
        future: Future[Any] = Future()
        future.set_result({})
        return future


class OnDask(Executor):
    """Sends each call to a Dask cluster, where nothing is done; one thread takes what comes back."""

    def __init__(self, client: Any) -> None:
        from distributed import as_completed

        self.client, self.back = client, as_completed(with_results=True)
        self.waiting, self.sent = dict[str, Future[Any]](), SimpleQueue[bool]()
        Thread(target=self._take, daemon=True).start()

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> "Future[Any]":
        """Return a future of the call."""
        _make_folders(*args)
        sent = self.client.submit(nothing, *args, pure=False)
        future = self.waiting[sent.key] = Future[Any]()
        self.back.add(sent)
        self.sent.put(True)
        return future

    def _take(self) -> None:
        while self.sent.get():
            done, result = next(self.back)
            self.waiting.pop(done.key).set_result(result)


def _make_folders(jobs: list[Any], root: str) -> None:
    for job in jobs:
        Path(root, job.name).mkdir()


def nothing(jobs: list[Any], root: str) -> dict[str, str]:
    """Do no job, and let none fail."""
    return {}


@click.command()
@options.output
@options.tiny
def main(output: Path, tiny: bool) -> None:
    """Measure each in turn, on one workspace in a temporary folder."""
    scale, few = (Scale(2, 2, 3), Scale(1, 2, 3)) if tiny else (Scale(40, 50, 50), Scale(4, 50, 50))
    with tempfile.TemporaryDirectory() as folder:
        workspace = Path(folder)
        _write_catalogue(workspace, scale)
        rows = [_row("planned", in_a_fresh_process(planned, workspace, scale), "60 s, 2 GB")]
        rows += [_row("scheduled", in_a_fresh_process(scheduled, workspace, few), "")]
        if find_spec("distributed"):
            rows += [_row("through Dask", in_a_fresh_process(through_dask, workspace, few), "200 jobs/s")]
        in_a_fresh_process(fill, workspace, scale)
        rows += [_row("resumed", in_a_fresh_process(resumed, workspace, scale), "30 s, 2 GB")]
        rows += [_row("told", in_a_fresh_process(told, workspace, scale), "")]
        Report("scale", "cpu", output, "").add(Table(f"{scale.jobs:,} jobs", NOTE, rows))


def planned(folder: Path, scale: Scale) -> Cost:
    """Plan all jobs and save the plan."""
    from robustbench_pix.runs.plan_store import save_plan
    from robustbench_pix.runs.store import Store

    def work() -> None:
        plan = _plan(folder, scale)
        assert len(plan.jobs) == scale.jobs
        save_plan(plan.rows, Store(folder / "runs"))

    return _cost(scale.jobs, work)


def fill(folder: Path, scale: Scale) -> None:
    """Write the run folder of every job, as if it had been done."""
    from robustbench_pix.runs.manifest import SPEC, file_digest, sealed

    content = folder / FILE
    content.write_bytes(bytes(4096))
    files = {FILE: file_digest(content)}
    for job in _plan(folder, scale).jobs.values():
        run = folder / "runs" / job.name
        run.mkdir(parents=True)
        (run / FILE).write_bytes(bytes(4096))
        (run / SPEC).write_text(sealed({**job.manifest, "seconds": 1.5, "files": files}), encoding="utf-8")


def resumed(folder: Path, scale: Scale) -> Cost:
    """Run a configuration of which all is there."""
    from robustbench_pix.runs.progress import Watcher
    from robustbench_pix.runs.request import Resources
    from robustbench_pix.runs.runner import run_config

    def work() -> None:
        watcher = Watcher()
        run_config(_config(folder, scale), Resources(executor="inline", device="cpu"), watcher)
        assert watcher.total == 0

    return _cost(scale.jobs, work)


def told(folder: Path, scale: Scale) -> Cost:
    """Look at the workspace."""
    from robustbench_pix.runs.status import status_of
    from robustbench_pix.runs.store import Store

    def work() -> None:
        assert status_of(Store(folder / "runs")).jobs["done"] == scale.jobs

    return _cost(scale.jobs, work)


def scheduled(folder: Path, scale: Scale) -> Cost:
    """Hand out jobs and take them back, with four slots."""
    jobs = list(_plan(folder, scale).jobs.values())
    return _cost(len(jobs), lambda: _carry_out(jobs, folder / "idle", Idle(), slots=4))


def through_dask(folder: Path, scale: Scale) -> Cost:
    """Send jobs through a Dask cluster of two workers, with 32 slots."""
    from distributed import Client, LocalCluster

    jobs = list(_plan(folder, scale).jobs.values())
    place = {"dashboard_address": ":0", "local_directory": str(folder)}
    with LocalCluster(n_workers=2, threads_per_worker=1, **place) as cluster, Client(cluster) as client:
        client.submit(nothing, jobs[:1], "").result()
        return _cost(len(jobs), lambda: _carry_out(jobs, folder / "dask", OnDask(client), slots=32))


def _carry_out(jobs: list[Any], folder: Path, executor: Executor, *, slots: int) -> None:
    from robustbench_pix.runs.claims import Claims
    from robustbench_pix.runs.clients import RUN, at_work
    from robustbench_pix.runs.progress import Watcher
    from robustbench_pix.runs.scheduler import carry_out
    from robustbench_pix.runs.store import Store

    store = Store(folder)
    store.root.mkdir()
    with at_work(store.root, RUN) as client:
        assert not carry_out(jobs, store, executor, Watcher(), Claims(store.root, client), slots=lambda: slots)


def _cost(jobs: int, work: Callable[[], None]) -> Cost:
    begun = now("cpu")
    work()
    spent = now("cpu") - begun
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e9
    return Cost(jobs, spent.seconds, spent.processor_seconds, most)


def _plan(folder: Path, scale: Scale) -> Any:
    from robustbench_pix.runs.planner import make_plan

    return make_plan(_config(folder, scale), "cpu")


def _config(folder: Path, scale: Scale) -> Any:
    from robustbench_pix.catalogue.workspace import Workspace
    from robustbench_pix.runs.request import RunConfig

    names = [f"recipe-{number}" for number in range(scale.recipes)]
    seeds = f"{scale.seeds}"
    return RunConfig.parse(workspace=Workspace(folder), recipes=names, on=["digits"], seeds=seeds, suite="scale")


def _write_catalogue(folder: Path, scale: Scale) -> None:
    (folder / "models").mkdir()
    (folder / "attacks/suites").mkdir(parents=True)
    for number in range(scale.recipes):
        (folder / f"models/recipe-{number}.toml").write_text(RECIPE.format(number=number), encoding="utf-8")
    names = [f"noise-{number}" for number in range(scale.attacks)]
    for number, name in enumerate(names):
        (folder / f"attacks/{name}.toml").write_text(ATTACK.format(number=number + 1), encoding="utf-8")
    (folder / "attacks/suites/scale.toml").write_text(SUITE.format(attacks=names), encoding="utf-8")


def _row(what: str, cost: Cost, required: str) -> Row:
    return {
        "what": what,
        "jobs": cost.jobs,
        "clock s": cost.seconds,
        "processor s": cost.processor_seconds,
        "jobs/s": cost.jobs / cost.seconds,
        "memory GB": cost.gigabytes,
        "must reach": required,
    }


if __name__ == "__main__":
    main()

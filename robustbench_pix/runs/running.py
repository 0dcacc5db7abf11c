"""Run a request: plan it, do what is missing, keep what was asked, return its rows."""

from collections.abc import Callable
from dataclasses import dataclass

from robustbench_pix.devices import resolve_device, trainings_together, worker_devices
from robustbench_pix.runs.executors import begin_server, inline, processes
from robustbench_pix.runs.given_model import keep
from robustbench_pix.runs.plan import Plan
from robustbench_pix.runs.planning import make_plan
from robustbench_pix.runs.plans import Rows, as_rows, save_plan
from robustbench_pix.runs.request import Request, check_choice
from robustbench_pix.runs.scheduling import Watcher, carry_out, missing_jobs
from robustbench_pix.runs.store import Store, disk_error


@dataclass(frozen=True)
class Means:
    """What a request is run with; none of it changes a number."""

    device: str | None = None
    executor: str = "processes"
    workers: int | None = None

    def __post_init__(self) -> None:
        """Refuse what the command line refuses by itself."""
        check_choice("executor", self.executor, ("processes", "inline"))


def run_request(request: Request, means: Means, watcher: Watcher, *, report: Callable[[str], None]) -> Rows:
    """Do the jobs of a request that are missing, and return its rows with the reasons of what failed.

    Raises:
        UserError: the request or the data is wrong, or nothing more can be written; what was finished is kept.
    """
    device = begin(means)
    plan, store = make_plan(request, device), Store(request.workspace.runs)
    save_plan(as_rows(plan.rows, {}), store)
    rows = as_rows(plan.rows, complete(plan, store, means, watcher, report=report))
    save_plan(rows, store)
    return rows


def begin(means: Means) -> str:
    """Let worker processes import while the plan is made; return the device, or refuse one that is not there."""
    if means.executor == "processes":
        begin_server()
    return resolve_device(means.device)


def complete(
    plan: Plan, store: Store, means: Means, watcher: Watcher, *, report: Callable[[str], None]
) -> dict[str, str]:
    """Do the jobs of a plan that are missing, and return why some failed, by their names.

    Raises:
        UserError: nothing more can be written; what was finished is kept.
    """
    device = resolve_device(means.device)
    try:
        store.root.mkdir(parents=True, exist_ok=True)
        store.sweep()
    except OSError as error:
        raise disk_error(store.root, error) from error
    jobs = missing_jobs(plan.jobs.values(), store, report=report)
    watcher.started(len(jobs), len(plan.jobs) - len(jobs))
    for job in [job for job in jobs if job.kind == "given"]:
        keep(job, plan.given[job.name], store)
        watcher.finished(job, None)
        jobs.remove(job)
    plan.given.clear()
    if not jobs:
        return {}
    devices = worker_devices(device, means.workers)
    in_here = means.executor == "inline" or plan.local_code
    with inline(devices[0]) if in_here else processes(devices[: len(jobs)]) as executor:
        slots = 1 if in_here else len(devices)
        return carry_out(jobs, store, executor, watcher, slots=slots, together=trainings_together(device))

"""``rbp status``: what is done, what runs where, what failed and why, and how long the rest takes."""

import json
from typing import TYPE_CHECKING, Any

import rich_click as click

from robustbench_pix.catalogue.workspace import Workspace
from robustbench_pix.cli.options import listing_options
from robustbench_pix.cli.output import write_rows
from robustbench_pix.errors import UserError

if TYPE_CHECKING:
    from robustbench_pix.runs.status import Status


@click.command()
@listing_options
def status(workspace: Workspace, style: str) -> None:
    """Show which jobs of this workspace are done, run, wait or failed, and how long the rest takes.

    It reads the files of the workspace alone: from any machine that sees them, while runs are at work and after them.
    csv and markdown give the table of recipes, json everything.

    \b
    Examples:
    $ rbp status
    $ rbp status --workspace /shared/study --format json
    """
    from robustbench_pix.runs.status import STATES, status_of
    from robustbench_pix.runs.store import Store

    found = status_of(Store(workspace.runs))
    if not (found.rows or found.running or found.clients or found.failed):
        raise UserError(f"There are no runs in {workspace.runs}; begin with rbp run.")
    if style == "json":
        print(json.dumps(_as_json(found), indent=2))
        return
    write_rows(found.rows, style, narrow=("recipe", "on", "suite", "size", *STATES))
    if style == "table":
        _write_the_rest(found)


def _as_json(found: "Status") -> dict[str, Any]:
    return {
        "rows": found.rows,
        "jobs": found.jobs,
        "clients": [{"host": one.process.host, "process": one.process.process, **one.facts} for one in found.clients],
        "running": [job._asdict() for job in found.running],
        "failed": [jobs._asdict() for jobs in found.failed],
        "seconds": round(found.seconds),
        "seconds_left": None if found.seconds_left is None else round(found.seconds_left),
        "unknown": found.unknown,
    }


def _write_the_rest(found: "Status") -> None:
    counts = ", ".join(f"{count:,} {state}" for state, count in found.jobs.items())
    print(f"\nJobs of all plans: {counts}.\n{_time_left(found)}")
    for client in found.clients:
        print(f"At work: {client.where}, {client.facts.get('jobs', 0):,} jobs, executor {client.facts['executor']}.")
    if found.running:
        print()
        write_rows([_running(job) for job in found.running], "table")
    if found.failed:
        print()
        rows = [{"failed": jobs.title, "jobs": len(jobs.jobs), "reason": jobs.reason} for jobs in found.failed]
        write_rows(rows, "table")


def _running(job: Any) -> dict[str, Any]:
    done = "" if job.fraction is None else f"{job.fraction:.0%}"
    return {"running": job.title, "done": done, "host": job.host, "process": job.process}


def _time_left(found: "Status") -> str:
    """Return a sentence on what is still to do."""
    from robustbench_pix.runs.typical_seconds import in_words

    left = found.jobs["waiting"] + found.jobs["running"]
    if not left:
        return "Nothing is left to do."
    if found.unknown == left:
        return "The time left is unknown: no job like those that are left is finished."
    if found.seconds_left is not None:
        told = f"About {in_words(found.seconds_left)} left, with {len(found.running)} at a time as now"
    else:
        told = f"No job runs now; what is left takes about {in_words(found.seconds)}, one job at a time"
    return f"{told}{f', and {found.unknown:,} jobs of unknown time' if found.unknown else ''}."

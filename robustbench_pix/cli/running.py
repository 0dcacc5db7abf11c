"""What ``rbp run`` and ``rbp evaluate`` do once their arguments are checked; kept apart because it imports torch."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from functools import partial

import rich_click as click
from rich.console import Console

from robustbench_pix.cli.tables import beside_of, built, show_board
from robustbench_pix.runs.plans import block_rows
from robustbench_pix.runs.request import Request
from robustbench_pix.runs.running import Means, run_request
from robustbench_pix.runs.store import Store
from robustbench_pix.runs.watching import BarWatcher, LineWatcher


def run_and_show(request: Request, means: Means, style: str) -> bool:
    """Run a request and show its board; return whether every row asked for is complete or was never meant to run.

    A given model is shown among all rows of its block.
    """
    store = Store(request.workspace.runs)
    with watched(store) as watcher:
        rows = run_request(request, means, watcher, report=watcher.say)
    shown = block_rows(rows, store) if request.given else rows
    leaderboard, measurements = built(shown, store)
    show_board(leaderboard, measurements, partial(beside_of, shown, store, leaderboard, measurements), style)
    asked = leaderboard[leaderboard["recipe"] == request.given.name] if request.given else leaderboard
    return bool(asked["status"].isin(["complete", "not run"]).all())


@contextmanager
def watched(store: Store) -> Iterator[BarWatcher | LineWatcher]:
    """Give what tells a person how jobs go; Ctrl-C ends the process and says how to go on."""
    console = Console(stderr=True)
    bars = BarWatcher(console, store) if console.is_terminal else None
    try:
        with bars or nullcontext():
            yield bars or LineWatcher()
    except KeyboardInterrupt:
        click.echo("Stopped. What was finished is kept; the same command goes on from there.", err=True)
        sys.exit(130)

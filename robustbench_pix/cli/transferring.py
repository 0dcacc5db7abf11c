"""What ``rbp transfer`` does once its arguments are checked; kept apart because it imports torch."""

from collections.abc import Sequence
from pathlib import Path

import click
import pandas as pd

from robustbench_pix.catalogue.specs import AttackSpec, SourceSpec
from robustbench_pix.cli.output import write_rows
from robustbench_pix.cli.running import watched
from robustbench_pix.cli.tables import built, console_of_output
from robustbench_pix.leaderboard import facts
from robustbench_pix.leaderboard.paper.latex_matrix import matrix_tables
from robustbench_pix.leaderboard.published.publishing import write_whole
from robustbench_pix.leaderboard.terminal.matrix import render
from robustbench_pix.results.matrix import matrix
from robustbench_pix.runs.matrix import run_matrix
from robustbench_pix.runs.request import Request
from robustbench_pix.runs.running import Means
from robustbench_pix.runs.store import Store


def transfer_and_show(
    request: Request,
    entry: AttackSpec,
    sources: Sequence[SourceSpec],
    network: str,
    means: Means,
    style: str,
    latex: Path | None,
) -> bool:
    """Run and show a matrix; return whether every victim is complete or was never meant to run.

    ``network`` is the task's own, which sources without another have; ``latex`` is where a table for a paper goes.
    """
    store = Store(request.workspace.runs)
    with watched(store) as watcher:
        found = run_matrix(request, entry, sources, means, watcher, report=watcher.say)
    leaderboards = [built(rows, store)[0] for rows in found]
    named = [(source.recipe, source.network or network, source.seed) for source in sources]
    table = matrix(named, leaderboards, request.recipes, entry.name)
    told = _facts(request, sources, leaderboards)
    if style == "table":
        console = console_of_output()
        title = f"{entry.name} on {request.combinations[0]}: from each source (down) to each victim (across)"
        console.print(render(table, title, told, console_width=console.width))
    else:
        shown = table.astype(object).where(table.notna(), None)
        write_rows([{str(key): value for key, value in row.items()} for row in shown.to_dict("records")], style)
    if latex is not None:
        measured = [f"network of the victims: {network}", facts.protocol(leaderboards[0]["protocol"].iloc[0])]
        write_whole(latex, matrix_tables(table, entry.name, str(request.combinations[0]), [*told, *measured]).encode())
        click.echo(f"wrote {latex}", err=True)
    return all(leaderboard["status"].isin(["complete", "not run"]).all() for leaderboard in leaderboards)


def _facts(request: Request, sources: Sequence[SourceSpec], leaderboards: Sequence[pd.DataFrame]) -> list[str]:
    """Return what was measured how, and what is missing, once."""
    seeds = ", ".join(map(str, request.seeds))
    told = [f"mean over the victims' seeds {seeds}" if len(request.seeds) > 1 else f"seed of the victims: {seeds}"]
    told += [fact for fact in (request.size, request.precision) if fact not in ("full", "float32")]
    told += ["±: standard deviation over the sources' seeds"] if any(source.seed for source in sources) else []
    for leaderboard in leaderboards:
        told += [f"{recipe}: {status} - {reason}" for recipe, status, reason in facts.stopped(leaderboard)]
        told += [f"{recipes} - {remark}" for recipes, remark in facts.remarks(leaderboard)]
    return list(dict.fromkeys(told))

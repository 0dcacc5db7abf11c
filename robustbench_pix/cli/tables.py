"""The board of a workspace, from its runs or from what is published, and how commands show and publish it."""

import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import NamedTuple

import pandas as pd
from rich.console import Console

from robustbench_pix.catalogue.workspace import SHIPPED, Workspace
from robustbench_pix.cli.output import write_rows
from robustbench_pix.errors import UserError, unknown
from robustbench_pix.leaderboard.published.csv_text import as_published, to_csv_text
from robustbench_pix.leaderboard.published.publishing import (
    merge,
    publish,
    read_across,
    read_costs,
    read_pictures,
    read_provenance,
    read_published,
    read_queries,
    read_table,
)
from robustbench_pix.leaderboard.terminal.detail import render
from robustbench_pix.leaderboard.terminal.overview import render_overview
from robustbench_pix.leaderboard.terminal.pair_text import title
from robustbench_pix.leaderboard.terminal.query_table import render_queries
from robustbench_pix.results.board import board, costs
from robustbench_pix.results.columns import MEASUREMENTS, QUERIES, RECIPE_COSTS, ROBUSTNESS, Column
from robustbench_pix.results.frames import BLOCK, ROWS, leaderboard_columns, typed
from robustbench_pix.results.merging import asked_rows, refuse_other_protocols
from robustbench_pix.results.pictures import picture_table
from robustbench_pix.results.provenance import empty, merged, provenance
from robustbench_pix.results.queries import query_table
from robustbench_pix.results.standing import Standing, standing, without
from robustbench_pix.results.statistics.across import across
from robustbench_pix.results.statistics.aggregation import build_leaderboard
from robustbench_pix.results.statistics.recipe_costs import recipe_costs
from robustbench_pix.results.statistics.robustness import build_robustness
from robustbench_pix.runs.plans import Rows, saved_rows
from robustbench_pix.runs.request import parse_combination
from robustbench_pix.runs.store import EXAMPLES, Store

PIPED_WIDTH = 100
FACTS = ("recipe", "seed", "attack", "strength", "n", "correct", "accuracy")


class Beside(NamedTuple):
    """What a detailed leaderboard shows beside its scores: the columns ``ROBUSTNESS`` and ``RECIPE_COSTS``."""

    robustness: pd.DataFrame
    costs: pd.DataFrame


class Found(NamedTuple):
    """A board and where it comes from: the folder in which it is published, or None if it is of runs.

    ``beside`` reads or derives what only a detailed view needs.
    """

    origin: str
    leaderboard: pd.DataFrame
    measurements: pd.DataFrame
    across: pd.DataFrame
    beside: Callable[[], Beside]
    folder: Path | None = None


def boards_of(workspace: Workspace, *, published: bool) -> Found:
    """Return the board of the workspace's runs, else what is published there, else what the package ships.

    Raises:
        UserError: there is none.
    """
    store = Store(workspace.runs)
    rows = [] if published else saved_rows(store)
    if rows:
        leaderboard, measurements = built(rows, store)
        over_combinations = across(measurements, asked_rows(leaderboard, measurements))
        origin = f"From the runs in {workspace.runs}."
        beside = partial(beside_of, rows, store, leaderboard, measurements)
        return Found(origin, leaderboard, measurements, over_combinations, beside)
    for place in (workspace.published, SHIPPED / "leaderboard"):
        tables = read_published(place)
        if tables is not None:
            beside = partial(_published_beside, place)
            return Found(f"As published in {place}.", tables[1], tables[0], read_across(place), beside, place)
    raise UserError(f"There are no runs in {workspace.runs} and nothing is published; begin with rbp run.")


def built(rows: Rows, store: Store) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return the leaderboard and the measurements of rows, rounded as they are published, so that both agree."""
    measurements, lines = board(rows, store)
    measurements = as_published(measurements, MEASUREMENTS)
    return build_leaderboard(measurements, lines), measurements


def beside_of(rows: Rows, store: Store, leaderboard: pd.DataFrame, measurements: pd.DataFrame) -> Beside:
    """Return what stands beside the board of rows, rounded as it is published."""
    robustness = build_robustness(measurements, asked_rows(leaderboard, measurements))
    spent = recipe_costs(measurements, costs(rows, store))
    return Beside(as_published(robustness, ROBUSTNESS), as_published(spent, RECIPE_COSTS))


def _published_beside(place: Path) -> Beside:
    robustness, spent = place / "robustness.csv", place / "recipe-costs.csv"
    return Beside(read_table(robustness, ROBUSTNESS), read_table(spent, RECIPE_COSTS))


def select(found: Found, suite: str | None, combinations: tuple[str, ...]) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return the leaderboard and the measurements of one suite and of some combinations.

    Raises:
        UserError: nothing is there for one of them.
    """
    leaderboard, measurements = found.leaderboard, found.measurements
    if suite is not None:
        known = set(leaderboard["suite"])
        if suite not in known:
            raise unknown("suite on this board", suite, known, list_with="rbp leaderboard")
        leaderboard, measurements = (table[table["suite"] == suite] for table in (leaderboard, measurements))
    if combinations:
        wanted = {str(parse_combination(text)) for text in combinations}
        missing = wanted - set(_combinations(leaderboard))
        if missing:
            name = sorted(missing)[0]
            raise unknown(
                "combination on this board", name, set(_combinations(leaderboard)), list_with="rbp leaderboard"
            )
        leaderboard, measurements = (table[_combinations(table).isin(wanted)] for table in (leaderboard, measurements))
    return leaderboard.reset_index(drop=True), measurements.reset_index(drop=True)


def show_board(
    leaderboard: pd.DataFrame,
    measurements: pd.DataFrame,
    beside: Callable[[], Beside],
    style: str,
    *,
    detailed: bool = False,
    over_combinations: pd.DataFrame | None = None,
) -> None:
    """Write a leaderboard to standard output; a table of several blocks is an overview unless ``detailed``.

    ``over_combinations`` is shown below an overview, for the suites that are in it.
    """
    if style == "table":
        console = console_of_output()
        if detailed or len(leaderboard[BLOCK].drop_duplicates()) < 2:
            console.print(render(leaderboard, measurements, *beside(), console_width=console.width))
        else:
            console.print(render_overview(leaderboard, console.width, over_combinations))
    else:
        _write(leaderboard, leaderboard_columns(leaderboard.columns), style)


def show_measurements(measurements: pd.DataFrame, style: str) -> None:
    """Write measurements to standard output; a table a block, with the facts alone."""
    if style == "table":
        facts = tuple(column for column in MEASUREMENTS if column.name in FACTS)
        for number, (block, rows) in enumerate(measurements.groupby(BLOCK, sort=False)):
            print("\n" * (number > 0) + title(dict(zip(BLOCK, block, strict=True))) + "\n")
            _write(rows, facts, style)
    else:
        _write(measurements, MEASUREMENTS, style)


def show_queries(workspace: Workspace, suite: str | None, combinations: tuple[str, ...], style: str) -> None:
    """Write success and distance against queries to standard output.

    Raises:
        UserError: no decision or score attack was run, or none for this suite and these combinations.
    """
    wanted = {str(parse_combination(text)) for text in combinations}
    store = Store(workspace.runs)
    table = query_table(saved_rows(store), store)
    if suite is not None:
        table = table[table["suite"] == suite]
    if wanted:
        table = table[_combinations(table).isin(wanted)]
    if table.empty:
        raise UserError(
            f"No decision or score attack was run in {workspace.runs} for that; begin with rbp run --suite decision."
        )
    if style == "table":
        console = console_of_output()
        console.print(render_queries(table, console.width))
    else:
        _write(table, QUERIES, style)


def publish_runs(workspace: Workspace, *, examples: bool) -> tuple[list[Path], list[Standing]]:
    """Publish the workspace's runs beside what is published there already.

    The outcome of every image is written on request, and where it is published already. Gains, ranks and everything
    else that compares are made anew over all recipes of a block.

    Returns:
        The files written, and which published rows stay although the runs have one of their name.

    Raises:
        UserError: there are no runs, rows were published under another protocol or by others under a name that is used
            here for another recipe, or the folder cannot be written.
    """
    store = Store(workspace.runs)
    rows = saved_rows(store)
    if not rows:
        raise UserError(f"There are no runs in {workspace.runs} to publish; begin with rbp run.")
    measurements, lines = board(rows, store)
    earlier, kept = read_published(workspace.published), []
    if earlier is not None:
        kept = standing(earlier[0], measurements, typed(lines, ROWS), ours=store.has_model, folder=workspace.published)
        rows = without(rows, kept)
        measurements, lines = board(rows, store) if kept else (measurements, lines)
    spent, queries, pictures = costs(rows, store), query_table(rows, store), picture_table(rows, store)
    origins = provenance(rows, store, workspace)
    if earlier is not None:
        theirs = read_provenance(workspace.published) or empty()
        refuse_other_protocols(earlier[0], measurements, workspace.published, theirs["tasks"] | origins["tasks"])
        lines = merge(asked_rows(earlier[1], earlier[0]), typed(lines, ROWS))
        measurements = merge(earlier[0], measurements)
        origins = merged(theirs, origins)
        queries = merge(read_queries(workspace.published), queries)
        pictures = merge(read_pictures(workspace.published), pictures)
        spent = merge(read_costs(workspace.published), spent, on=("kind", "id"))
    measurements = as_published(measurements, MEASUREMENTS)
    leaderboard = build_leaderboard(measurements, lines)
    tables = {"measurements": measurements, "leaderboard": leaderboard, "costs": spent, "queries": queries}
    files = publish(workspace.published, **tables, pictures=pictures, provenance=merged(empty(), origins))
    if examples or (workspace.published / EXAMPLES).exists():
        from robustbench_pix.leaderboard.published.examples import write_examples

        files.append(write_examples(workspace.published, rows, store, set(measurements["attack_id"])))
    return files, kept


def _write(table: pd.DataFrame, columns: tuple[Column, ...], style: str) -> None:
    if style == "csv":
        sys.stdout.write(to_csv_text(table, columns))
    else:
        present = as_published(table, columns).astype(object)
        records = present.where(present.notna(), None).to_dict("records")
        write_rows([{str(key): value for key, value in record.items()} for record in records], style)


def _combinations(table: pd.DataFrame) -> "pd.Series[str]":
    return table["task"] + ":" + table["images"]


def console_of_output() -> Console:
    """Return the console that writes to standard output; one that is no terminal is as wide as ``COLUMNS`` says."""
    import shutil

    return Console(width=None if sys.stdout.isatty() else shutil.get_terminal_size((PIPED_WIDTH, 24)).columns)

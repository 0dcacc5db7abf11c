"""The board of a workspace, from its runs or its published folder, and the ways commands show it."""

import sys
from collections.abc import Iterable

import pandas as pd
from rich.console import Console
from rich.text import Text

from robustbench_pix.catalogue.workspace import SHIPPED, Workspace
from robustbench_pix.cli.output import write_rows
from robustbench_pix.errors import UserError
from robustbench_pix.leaderboard.captions import flowing, setting_title
from robustbench_pix.leaderboard.display_table import DisplayTable
from robustbench_pix.leaderboard.terminal.detail import render
from robustbench_pix.leaderboard.terminal.overview import render_overview
from robustbench_pix.leaderboard.terminal.rich_tables import render_queries, rich_tables
from robustbench_pix.results.board import Board, published_board
from robustbench_pix.results.columns import MEASUREMENTS, QUERIES, SETTING, Column
from robustbench_pix.results.derived_columns import leaderboard_columns
from robustbench_pix.results.from_runs import board_of
from robustbench_pix.results.published.csv_io import as_published, to_csv_text
from robustbench_pix.results.published.reading import is_published
from robustbench_pix.runs.plan_store import saved_rows
from robustbench_pix.runs.request import parse_combination
from robustbench_pix.runs.store import Store

PIPED_WIDTH = 100
FACTS = ("recipe", "seed", "attack", "strength", "n", "correct", "accuracy")


def board_at(workspace: Workspace, suite: str | None, combinations: tuple[str, ...], *, published: bool) -> Board:
    """Return the board of the workspace's runs, else of its published folder, else of the package.

    Only one suite and the combinations, as they are typed, are selected where they are given.

    Raises:
        UserError: there is none, a combination has another form, or the board has nothing for one of them.
    """
    store, places = Store(workspace.runs), (workspace.published, SHIPPED / "leaderboard")
    if rows := [] if published else saved_rows(store):
        board = board_of(rows, store)
    elif place := next(filter(is_published, places), None):
        board = published_board(place)
    else:
        raise UserError(f"There are no runs in {workspace.runs} and nothing is published; begin with rbp run.")
    return board.select(suite, [str(parse_combination(text)) for text in combinations])


def show_board(board: Board, style: str, *, detailed: bool = False) -> None:
    """Write a leaderboard to standard output; a table of several settings is an overview unless ``detailed``."""
    leaderboard = board.leaderboard
    if style == "table":
        console = console_of_output()
        if detailed or len(leaderboard[SETTING].drop_duplicates()) < 2:
            tables = leaderboard, board.measurements, board.aucs, board.recipe_costs
            console.print(render(*tables, collapses=board.collapses, console_width=console.width))
        else:
            console.print(render_overview(leaderboard, console.width, board.aggregates))
    else:
        _write(leaderboard, leaderboard_columns(leaderboard.columns), style)


def show_measurements(measurements: pd.DataFrame, style: str) -> None:
    """Write measurements to standard output; a table a setting, with the facts alone."""
    if style == "table":
        facts = tuple(column for column in MEASUREMENTS if column.name in FACTS)
        for number, (key, rows) in enumerate(measurements.groupby(SETTING, sort=False)):
            print("\n" * (number > 0) + setting_title(dict(zip(SETTING, key, strict=True))) + "\n")
            _write(rows, facts, style)
    else:
        _write(measurements, MEASUREMENTS, style)


def show_queries(queries: pd.DataFrame, style: str) -> None:
    """Write success and distance against queries to standard output."""
    if style == "table":
        console = console_of_output()
        console.print(render_queries(queries, console.width))
    else:
        _write(queries, QUERIES, style)


def show_tables(tables: Iterable[tuple[str, DisplayTable]]) -> None:
    """Write tables with their titles to standard output, and the notes of all of them at the end."""
    console, notes = console_of_output(), list[str]()
    for title, table in tables:
        drawn = [part for rich in rich_tables(table, console.width) for part in (rich, "")]
        console.print(Text(title, "bold"), "", *drawn, sep="\n")
        notes += [note for note in table.notes if note not in notes]
    console.print(Text(flowing(notes, console.width), "dim"), "", sep="\n")


def _write(table: pd.DataFrame, columns: tuple[Column, ...], style: str) -> None:
    if style == "csv":
        sys.stdout.write(to_csv_text(table, columns))
    else:
        present = as_published(table, columns).astype(object)
        records = present.where(present.notna(), None).to_dict("records")
        write_rows([{str(key): value for key, value in record.items()} for record in records], style)


def console_of_output() -> Console:
    """Return the console that writes to standard output; one that is no terminal is as wide as ``COLUMNS`` says."""
    import shutil

    return Console(width=None if sys.stdout.isatty() else shutil.get_terminal_size((PIPED_WIDTH, 24)).columns)

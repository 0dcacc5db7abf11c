"""The tables of a board as LaTeX files for a paper: each has the name of the CSV file that holds the same numbers."""

from collections.abc import Iterator
from pathlib import Path

import pandas as pd

from robustbench_pix.leaderboard.paper.latex_aggregates import aggregate_tables
from robustbench_pix.leaderboard.paper.latex_auc import auc_tables
from robustbench_pix.leaderboard.paper.latex_comparisons import comparison_tables
from robustbench_pix.leaderboard.paper.latex_corruptions import corruption_table
from robustbench_pix.leaderboard.paper.latex_costs import cost_table
from robustbench_pix.leaderboard.paper.latex_queries import query_tables
from robustbench_pix.leaderboard.paper.latex_settings import settings_of
from robustbench_pix.results.board import Board
from robustbench_pix.results.published.writing import write_whole


def write_tables(
    board: Board, folder: Path, corruptions: tuple[pd.DataFrame, pd.DataFrame] | None = None
) -> list[Path]:
    """Write the tables of each suite into a folder of its own, those that have rows, and return the files.

    Args:
        board: What is to be written.
        folder: Where to; files of the same name are replaced.
        corruptions: What ``corruption_table`` takes, where corruptions were measured and can be grouped.

    Raises:
        UserError: The folder cannot be written to.
    """
    leaderboard, measurements = board.leaderboard, board.measurements
    files = []
    for suite, rows in leaderboard.groupby("suite", sort=False):
        parts: dict[str, list[str]] = {}
        for setting in settings_of(rows, measurements):
            parts.setdefault("comparisons", []).append(comparison_tables(setting, board.comparisons))
            parts.setdefault("aucs", []).append(auc_tables(setting, board.aucs))
            parts.setdefault("recipe-costs", []).append(cost_table(setting, board.recipe_costs))
            parts.setdefault("queries", []).append(query_tables(setting, board.queries))
            if corruptions is not None:
                parts.setdefault("corruptions", []).append(corruption_table(setting, *corruptions))
        parts["aggregates"] = [aggregate_tables(board.aggregates[board.aggregates["suite"] == suite], rows)]
        files += [write_whole(folder / f"{suite}/{name}.tex", text.encode()) for name, text in _filled(parts)]
    return files


def _filled(parts: dict[str, list[str]]) -> Iterator[tuple[str, str]]:
    """Return the tables of each file as one text, where there are any."""
    for name, tables in parts.items():
        text = "\n".join(filter(None, tables))
        if text:
            yield name, text

"""The tables of a board as LaTeX files for a paper: each has the name of the CSV file that holds the same numbers."""

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pandas as pd

from robustbench_pix.leaderboard.paper.latex_across import across_tables
from robustbench_pix.leaderboard.paper.latex_blocks import board_blocks
from robustbench_pix.leaderboard.paper.latex_comparisons import comparison_tables
from robustbench_pix.leaderboard.paper.latex_corruptions import corruption_table
from robustbench_pix.leaderboard.paper.latex_costs import cost_table
from robustbench_pix.leaderboard.paper.latex_queries import query_tables
from robustbench_pix.leaderboard.paper.latex_robustness import robustness_tables
from robustbench_pix.leaderboard.published.csv_text import as_published
from robustbench_pix.leaderboard.published.publishing import write_whole
from robustbench_pix.results.columns import ACROSS, COMPARISONS, QUERIES, RECIPE_COSTS, ROBUSTNESS
from robustbench_pix.results.merging import asked_rows
from robustbench_pix.results.statistics.across import across
from robustbench_pix.results.statistics.comparisons import build_comparisons
from robustbench_pix.results.statistics.recipe_costs import recipe_costs
from robustbench_pix.results.statistics.robustness import build_robustness


class PaperInputs(NamedTuple):
    """What does not follow from the measurements of a board."""

    costs: pd.DataFrame
    """The columns ``COSTS``."""

    queries: pd.DataFrame
    """The columns ``QUERIES``."""

    corruptions: tuple[pd.DataFrame, pd.DataFrame] | None = None
    """What ``corruption_table`` takes, where corruptions were measured and can be grouped."""


def write_tables(
    leaderboard: pd.DataFrame, measurements: pd.DataFrame, beside: PaperInputs, folder: Path
) -> list[Path]:
    """Write the tables of each suite into a folder of its own, those that have rows, and return the files.

    Args:
        leaderboard: As ``build_leaderboard`` returns it.
        measurements: What it was built from.
        beside: Costs, queries and corruptions; rows of other blocks are not looked at.
        folder: Where to; files of the same name are replaced.

    Raises:
        UserError: The folder cannot be written to.
    """
    asked = asked_rows(leaderboard, measurements)
    # Rounded as they are published: a last digit must not depend on whether the board is of runs or of files.
    over_combinations = as_published(across(measurements, asked), ACROSS)
    comparisons = as_published(build_comparisons(measurements, asked), COMPARISONS)
    robustness = as_published(build_robustness(measurements, asked), ROBUSTNESS)
    costs = as_published(recipe_costs(measurements, beside.costs), RECIPE_COSTS)
    queries = as_published(beside.queries, QUERIES)
    files = []
    for suite, rows in leaderboard.groupby("suite", sort=False):
        parts: dict[str, list[str]] = {}
        for block in board_blocks(rows, measurements):
            parts.setdefault("comparisons", []).append(comparison_tables(block, comparisons))
            parts.setdefault("robustness", []).append(robustness_tables(block, robustness))
            parts.setdefault("recipe-costs", []).append(cost_table(block, costs))
            parts.setdefault("queries", []).append(query_tables(block, queries))
            if beside.corruptions is not None:
                parts.setdefault("corruptions", []).append(corruption_table(block, *beside.corruptions))
        parts["across"] = [across_tables(over_combinations[over_combinations["suite"] == suite], rows)]
        files += [write_whole(folder / f"{suite}/{name}.tex", text.encode()) for name, text in _filled(parts)]
    return files


def _filled(parts: dict[str, list[str]]) -> Iterator[tuple[str, str]]:
    """Return the tables of each file as one text, where there are any."""
    for name, tables in parts.items():
        text = "\n".join(filter(None, tables))
        if text:
            yield name, text

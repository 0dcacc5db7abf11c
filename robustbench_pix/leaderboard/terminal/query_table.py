"""Queries in a terminal: one table an attack, success above, distance below, and the success rate as a curve."""

import math
from typing import Any

import numpy as np
import pandas as pd
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from robustbench_pix.attacks.recorded import CHECKPOINTS, DISTANCE_AT
from robustbench_pix.leaderboard.captions import flowing
from robustbench_pix.leaderboard.display import (
    QUERY_COUNTS,
    at_middle_strength,
    median_queries,
    records,
    share_cell,
    whole,
)
from robustbench_pix.leaderboard.terminal.cells import plain_table, written
from robustbench_pix.leaderboard.terminal.plots import sparkline
from robustbench_pix.results.columns import SETTING

CURVE = 12
LEGEND = (
    "success rate after so many queries, below it the median distance",
    "median: queries that a success takes (Kaplan-Meier), below it its 95% interval",
    "intervals take images as independent",
    "> more than half did not succeed within the budget",
    "mean: failures counted at the budget",
    "curve: success rate from 10 queries to the budget, on a logarithmic scale",
    "▁ to █: 0 to 1",
)


def render_queries(table: pd.DataFrame, width: int) -> Group:
    """Return the tables of all attacks, each at the strength in the middle of those above 0."""
    parts: list[RenderableType] = []
    for _, rows in table.groupby([*SETTING, "attack"], sort=False):
        rows = at_middle_strength(rows)
        first, limit = rows.iloc[0], int(rows["query_budget"].max())
        told = f"  {first['attack']}, {first['strength_kind']} {first['strength']:.3g}"
        head = Text.assemble((f"{first['task']} : {first['regularization_data']}", "bold"), told)
        size = "" if first["size"] == "full" else f", reduced size {first['size']}"
        told = f"suite {first['suite']} {first['suite_version']}{size}, {limit:,} queries at most"
        parts += [head, Text(told, style="dim"), "", _table(rows), ""]
    return Group(*parts, Text(flowing(LEGEND, width), style="dim"))


def _table(rows: pd.DataFrame) -> Table:
    table = plain_table((0, 1, 0, 0))
    table.add_column("recipe")
    for name in (*(f"{count:,}" for count in QUERY_COUNTS), "median", "mean", "images"):
        table.add_column(name, justify="right")
    table.add_column("curve", width=CURVE)
    for row in records(rows):
        asked = written(median_queries(row)), whole(row["restricted_mean_queries"]), str(row["n"])
        table.add_row(row["recipe"], *(_cell(row, count) for count in QUERY_COUNTS), *asked, _curve(row))
    return table


def _cell(row: dict[str, Any], count: int) -> Text:
    distance = row[f"{DISTANCE_AT}{count}"]
    return written(share_cell(row[f"success_at_{count}"]), "" if math.isnan(distance) else f"{distance:.3g}")


def _curve(row: dict[str, Any]) -> Text:
    known = [count for count in CHECKPOINTS if not math.isnan(row[f"success_at_{count}"])]
    if not known:
        return Text("")
    places = np.log(known)
    even = np.linspace(places[0], places[-1], CURVE)
    return Text(sparkline(np.interp(even, places, [row[f"success_at_{count}"] for count in known]), CURVE), "dim")

"""Queries in a terminal: one table an attack, success above, distance below, and the success rate as a curve."""

import math
from typing import Any

import numpy as np
import pandas as pd
from rich.box import SIMPLE_HEAD
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from robustbench_pix.attacks.checkpoints import CHECKPOINTS, DISTANCE_AT
from robustbench_pix.leaderboard.cells import ABSENT, share
from robustbench_pix.leaderboard.facts import flowing
from robustbench_pix.leaderboard.sparkline import sparkline
from robustbench_pix.results.frames import BLOCK

SHOWN = (100, 1_000, 10_000)
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
    for _, rows in table.groupby([*BLOCK, "attack"], sort=False):
        strength = middle_strength(rows)
        rows = rows[rows["strength"] == strength]
        first, limit = rows.iloc[0], int(rows["limit"].max())
        told = f"  {first['attack']}, {first['strength_kind']} {strength:.3g}"
        head = Text.assemble((f"{first['task']} : {first['images']}", "bold"), told)
        size = "" if first["size"] == "full" else f", reduced size {first['size']}"
        told = f"suite {first['suite']} {first['suite_version']}{size}, {limit:,} queries at most"
        parts += [head, Text(told, style="dim"), "", _table(rows), ""]
    return Group(*parts, Text(flowing(LEGEND, width), style="dim"))


def middle_strength(rows: pd.DataFrame) -> float:
    """Return the strength in the middle of those above 0, the lower of two."""
    strengths = sorted(rows["strength"].unique())
    return float(strengths[(len(strengths) - 1) // 2])


def _table(rows: pd.DataFrame) -> Table:
    table = Table(box=SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=(0, 1, 0, 0), border_style="dim")
    table.add_column("recipe")
    for name in (*(f"{count:,}" for count in SHOWN), "median", "mean", "images"):
        table.add_column(name, justify="right")
    table.add_column("curve", width=CURVE)
    for record in rows.to_dict("records"):
        row = {str(name): value for name, value in record.items()}
        cells = [_cell(row, count) for count in SHOWN]
        table.add_row(row["recipe"], *cells, _median(row), _whole(row["restricted_mean"]), str(row["n"]), _curve(row))
    return table


def _cell(row: dict[str, Any], count: int) -> Text:
    success, distance = row[f"success_at_{count}"], row[f"{DISTANCE_AT}{count}"]
    if math.isnan(success):
        return Text(ABSENT, style="dim")
    below = "" if math.isnan(distance) else f"\n{distance:.3g}"
    return Text.assemble(share(success), (below, "dim"))


def _median(row: dict[str, Any]) -> Text:
    if math.isnan(row["median_queries"]):
        return Text(f">{row['limit']:,}" if row["n"] else ABSENT)
    high = _whole(row["median_high"]) if not math.isnan(row["median_high"]) else f">{row['limit']:,}"
    return Text.assemble(_whole(row["median_queries"]), (f"\n{_whole(row['median_low'])}–{high}", "dim"))


def _curve(row: dict[str, Any]) -> Text:
    known = [count for count in CHECKPOINTS if not math.isnan(row[f"success_at_{count}"])]
    if not known:
        return Text("")
    places = np.log(known)
    even = np.linspace(places[0], places[-1], CURVE)
    return Text(sparkline(np.interp(even, places, [row[f"success_at_{count}"] for count in known]), CURVE), "dim")


def _whole(value: float) -> str:
    return ABSENT if math.isnan(value) else f"{value:,.0f}"

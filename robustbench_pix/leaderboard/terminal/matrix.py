"""The matrix of a transfer attack in a terminal: sources down, victims across."""

from typing import Any

import pandas as pd
from rich.box import SIMPLE_HEAD
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from robustbench_pix.leaderboard import cells
from robustbench_pix.leaderboard.facts import flowing
from robustbench_pix.results.columns import ROBUSTNESS_PREFIX
from robustbench_pix.results.matrix import ALL, MEAN, SOURCE

NARROWEST = 8
GAP = 2
SEED_WIDTH = len("mean")
NUMBER_WIDTH = len("=.123")
SAME = "="
LEGEND = "robustness: normalized area under the accuracy", "= victim trained with the recipe of its source"


def render(table: pd.DataFrame, title: str, facts: list[str], *, console_width: int) -> Group:
    """Return the matrix for ``rich.print``; victims that find no room stand in a table below.

    Args:
        table: As ``results.matrix.matrix`` returns it.
        title: What attacked what.
        facts: What else a reader must know, a sentence or a name each.
        console_width: Columns of the terminal.
    """
    victims = [str(name) for name in table.columns if str(name).startswith(ROBUSTNESS_PREFIX)]
    recipe, network = (max(table[name].str.len().max(), len("source")) for name in SOURCE[:2])
    room = console_width - recipe - network - SEED_WIDTH - NUMBER_WIDTH - 3 * GAP
    longest = max(len(name) for name in victims) - len(ROBUSTNESS_PREFIX)
    width = max(NARROWEST, min(longest, room // len(victims) - GAP))
    together = max(1, room // (width + GAP))
    parts: list[RenderableType] = [Text(title, style="bold"), ""]
    for start in range(0, len(victims), together):
        shown = [*victims[start : start + together], MEAN]
        parts += [_table(table, shown, (recipe, network), width), ""]
    return Group(*parts, Text(flowing([*LEGEND, *facts], console_width), style="dim"))


def _table(table: pd.DataFrame, shown: list[str], widths: tuple[int, int], width: int) -> Table:
    drawn = Table(box=SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=0, border_style="dim")
    for heading, wide in zip(("source", "network"), widths, strict=True):
        drawn.add_column(heading, width=wide + GAP - 1)
    drawn.add_column("seed", width=SEED_WIDTH, justify="right")
    for name in shown:
        heading = "mean" if name == MEAN else "\n".join(cells.wrapped(name.removeprefix(ROBUSTNESS_PREFIX), width))
        drawn.add_column(Text(heading), width=(NUMBER_WIDTH if name == MEAN else width) + GAP - 1, justify="right")
    before = None
    for line in table.to_dict("records"):
        row = {str(name): value for name, value in line.items()}
        kind = row[SOURCE[0]], row[SOURCE[1]]
        if before is not None and kind != before:
            drawn.add_section()
        named = kind if kind != before else ("", "")
        before = kind
        drawn.add_row(*(Text(name) for name in named), _seed(row), *(_number(row, name) for name in shown))
    return drawn


def _seed(row: dict[str, Any]) -> Text:
    if row["statistic"] == "robustness":
        return Text(str(row[SOURCE[2]]))
    return Text("" if row[SOURCE[0]] == ALL else {"mean": "mean", "deviation": "±"}[row["statistic"]], style="dim")


def _number(row: dict[str, Any], name: str) -> Text:
    if pd.isna(row[name]):
        return Text(cells.ABSENT, style="dim")
    same = row["same_recipe"] == name.removeprefix(ROBUSTNESS_PREFIX) and row["statistic"] != "deviation"
    style = "dim" if row["statistic"] == "deviation" else "bold" if same else ""
    return Text((SAME if same else "") + cells.share(row[name]), style)

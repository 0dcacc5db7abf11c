"""The matrix of a transfer attack, sources down and victims across: for a terminal and as LaTeX."""

from collections.abc import Iterator, Mapping
from typing import Any

import pandas as pd
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from robustbench_pix.leaderboard.captions import flowing
from robustbench_pix.leaderboard.display import NOTHING, Cell, records, share
from robustbench_pix.leaderboard.paper import latex
from robustbench_pix.leaderboard.paper.figure_style import NETWORKS, attack_name
from robustbench_pix.leaderboard.paper.latex_columns import TEXT, Column, table
from robustbench_pix.leaderboard.terminal.cells import plain_table, wrapped
from robustbench_pix.results.derived_columns import AUC_PREFIX
from robustbench_pix.results.transfer_matrix import ALL, MEAN, SOURCE

NARROWEST = 8
GAP = 2
SEED_WIDTH = len("mean")
NUMBER_WIDTH = len("=.123")
SAME = "="
LEGEND = "robustness: normalized area under the accuracy", "= victim trained with the recipe of its source"

VICTIMS_A_TABLE = 4
"""More do not fit into a page's width."""
LATEX_LEGEND = (
    "robustness (mean accuracy from no attack to the strongest) of each victim (across) to images made on each source "
    "(down)",
    f"{SAME} victim trained with the recipe of its source",
    "mean: over the victims of a row, or over sources",
)


def render(matrix: pd.DataFrame, title: str, facts: list[str], *, console_width: int) -> Group:
    """Return the matrix for ``rich.print``; victims that find no room stand in a table below.

    Args:
        matrix: As ``results.transfer_matrix.matrix`` returns it.
        title: What attacked what.
        facts: What else a reader must know, a sentence or a name each.
        console_width: Columns of the terminal.
    """
    recipe, network = (max(matrix[name].str.len().max(), len("source")) for name in SOURCE[:2])
    room = console_width - recipe - network - SEED_WIDTH - NUMBER_WIDTH - 3 * GAP
    victims = _victims(matrix)
    longest = max(len(name) for name in victims) - len(AUC_PREFIX)
    width = max(NARROWEST, min(longest, room // len(victims) - GAP))
    parts: list[RenderableType] = [Text(title, style="bold"), ""]
    for shown in _together(victims, max(1, room // (width + GAP))):
        parts += [_table(matrix, shown, (recipe, network), width), ""]
    return Group(*parts, Text(flowing([*LEGEND, *facts], console_width), style="dim"))


def matrix_tables(matrix: pd.DataFrame, attack: str, combination: str, facts: list[str]) -> str:
    """Return the matrix as LaTeX, over several tables where it has many victims.

    Args:
        matrix: As ``results.transfer_matrix.matrix`` returns it.
        attack: The name of the attack.
        combination: What sources and victims were trained on.
        facts: How it was measured and what else a reader must know.
    """
    told = f"Transfer: {attack_name(attack)} on {combination}: {'; '.join([*LATEX_LEGEND, *facts])}."
    parts = []
    for place, shown in enumerate(_together(_victims(matrix), VICTIMS_A_TABLE), start=1):
        victims = [latex.escaped(column.removeprefix(AUC_PREFIX)) for column in shown[:-1]]
        columns = [*(Column(name, TEXT) for name in ("source", "network", "seed")), *map(Column, (*victims, "mean"))]
        name = latex.label("tab", "transfer", attack, combination, place)
        parts.append(table(latex.escaped(told), name, columns, list(_lines(matrix, shown, NETWORKS))))
    return "\n".join(parts)


def _victims(matrix: pd.DataFrame) -> list[str]:
    return [str(name) for name in matrix.columns if str(name).startswith(AUC_PREFIX)]


def _together(victims: list[str], most: int) -> list[list[str]]:
    """Return the columns of each table: some victims and the mean."""
    return [[*victims[start : start + most], MEAN] for start in range(0, len(victims), most)]


def _table(matrix: pd.DataFrame, shown: list[str], widths: tuple[int, int], width: int) -> Table:
    drawn = plain_table()
    for heading, wide in zip(("source", "network"), widths, strict=True):
        drawn.add_column(heading, width=wide + GAP - 1)
    drawn.add_column("seed", width=SEED_WIDTH, justify="right")
    for name in shown:
        heading = "mean" if name == MEAN else "\n".join(wrapped(name.removeprefix(AUC_PREFIX), width))
        drawn.add_column(Text(heading), width=(NUMBER_WIDTH if name == MEAN else width) + GAP - 1, justify="right")
    for cells in _lines(matrix, shown, {}):
        if len(cells) > 1:
            drawn.add_row(*(Text(cell.text, cell.style) for cell in cells))
        else:
            drawn.add_section()
    return drawn


def _lines(matrix: pd.DataFrame, shown: list[str], networks: Mapping[str, str]) -> Iterator[list[Cell]]:
    """Yield the cells of each line, and one empty cell before another kind of source."""
    before = None
    for row in records(matrix):
        kind = row[SOURCE[0]], networks.get(row[SOURCE[1]], row[SOURCE[1]])
        if before not in (None, kind):
            yield [Cell("")]
        named = kind if kind != before else ("", "")
        before = kind
        yield [*map(Cell, named), _seed(row), *(_number(row, name) for name in shown)]


def _seed(row: dict[str, Any]) -> Cell:
    if row["statistic"] == "auc":
        return Cell(str(row[SOURCE[2]]))
    return Cell("" if row[SOURCE[0]] == ALL else {"mean": "mean", "deviation": "±"}[row["statistic"]], style="dim")


def _number(row: dict[str, Any], name: str) -> Cell:
    if pd.isna(row[name]):
        return NOTHING
    spread = row["statistic"] == "deviation"
    same = row["same_recipe"] == name.removeprefix(AUC_PREFIX) and not spread
    return Cell(f"{SAME * same}{share(row[name])}", style="dim" if spread else "bold" * same)

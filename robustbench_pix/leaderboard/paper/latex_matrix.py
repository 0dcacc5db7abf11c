"""The matrix of a transfer attack as LaTeX: sources down, victims across."""

from typing import Any

import pandas as pd

from robustbench_pix.leaderboard.cells import share
from robustbench_pix.leaderboard.paper import latex
from robustbench_pix.leaderboard.paper.figure_style import NETWORKS, attack_name
from robustbench_pix.leaderboard.paper.latex_columns import NUMBER, TEXT, Column, absent, number, table
from robustbench_pix.leaderboard.terminal.matrix import SAME
from robustbench_pix.results.columns import ROBUSTNESS_PREFIX
from robustbench_pix.results.matrix import ALL, MEAN, SOURCE

VICTIMS_A_TABLE = 4
"""More do not fit into a page's width."""
LEGEND = (
    "robustness (mean accuracy from no attack to the strongest) of each victim (across) to images made on each source "
    "(down)",
    f"{SAME} victim trained with the recipe of its source",
    "mean: over the victims of a row, or over sources",
)


def matrix_tables(matrix: pd.DataFrame, attack: str, combination: str, facts: list[str]) -> str:
    """Return the matrix, over several tables where it has many victims.

    Args:
        matrix: As ``results.matrix.matrix`` returns it.
        attack: The name of the attack.
        combination: What sources and victims were trained on.
        facts: How it was measured and what else a reader must know.
    """
    victims = [str(name) for name in matrix.columns if str(name).startswith(ROBUSTNESS_PREFIX)]
    caption = f"Transfer: {attack_name(attack)} on {combination}: {'; '.join([*LEGEND, *facts])}."
    parts = []
    for start in range(0, len(victims), VICTIMS_A_TABLE):
        shown = [*victims[start : start + VICTIMS_A_TABLE], MEAN]
        name = latex.label("tab", "transfer", attack, combination, start // VICTIMS_A_TABLE + 1)
        parts.append(_table(matrix, shown, latex.escaped(caption), name))
    return "\n".join(parts)


def _table(matrix: pd.DataFrame, shown: list[str], caption: str, name: str) -> str:
    headings = [latex.escaped(column.removeprefix(ROBUSTNESS_PREFIX)) for column in shown[:-1]]
    columns = [Column("source", TEXT), Column("network", TEXT), Column("seed", TEXT)]
    columns += [Column(heading) for heading in (*headings, "mean")]
    body: list[list[str]] = []
    before = None
    for row in matrix.to_dict("records"):
        kind = row[SOURCE[0]], row[SOURCE[1]]
        if kind != before and before is not None:
            body.append([r"\addlinespace"])
        told = [latex.escaped(kind[0]), latex.escaped(NETWORKS.get(kind[1], kind[1]))] if kind != before else ["", ""]
        before = kind
        body.append([*told, _seed(row), *(_cell(row, column) for column in shown)])
    return table(caption, name, columns, body)


def _seed(row: dict[Any, Any]) -> str:
    if row["statistic"] == "robustness":
        return str(row[SOURCE[2]])
    return "" if row[SOURCE[0]] == ALL else {"mean": "mean", "deviation": r"$\pm$"}[row["statistic"]]


def _cell(row: dict[Any, Any], column: str) -> str:
    if pd.isna(row[column]):
        return absent(NUMBER)
    same = row["same_recipe"] == column.removeprefix(ROBUSTNESS_PREFIX) and row["statistic"] != "deviation"
    return number(f"{SAME * same}{share(row[column])}")

"""The second table of a setting: what compares recipes of different clean accuracy, and what they cost."""

import math
from typing import NamedTuple

import pandas as pd
from rich.table import Table
from rich.text import Text

from robustbench_pix.leaderboard.display import ABSENT, NOTHING, best, eps50, number, records
from robustbench_pix.leaderboard.terminal import cells
from robustbench_pix.leaderboard.terminal.column_layout import packed
from robustbench_pix.results.columns import WORST_CASE
from robustbench_pix.results.derived_columns import AUC_PREFIX

GAPS = (3, 2, 1)
"""Between two columns, where they find room."""

NAME_WIDTH = 20
OF_SCORE = {"effective_robustness": ["effective"], "worst_case": ["worst", "case"]}
COSTS = {
    "training_seconds": ["train", "seconds"],
    "attack_seconds": ["attack", "seconds"],
    "queries": ["queries", "/ image"],
}


class _Column(NamedTuple):
    heading: list[str]
    cells: list[Text]

    @property
    def known(self) -> bool:
        return any(cell.plain != ABSENT for cell in self.cells)

    @property
    def width(self) -> int:
        return max(len(line) for line in [*self.heading, *(line for it in self.cells for line in it.plain.split("\n"))])


def secondary_tables(
    rows: pd.DataFrame,
    aucs: pd.DataFrame,
    costs: pd.DataFrame,
    ends: dict[str, str],
    dropped: str,
    width: int,
) -> list[Table]:
    """Return one table, or several where the columns find no room side by side; none without numbers.

    Columns in which nothing is known are left out, and attacks under which no recipe's accuracy halves.

    Args:
        rows: Of the leaderboard, of one setting, in their order; ``below`` says which stand below their claim.
        robustness: Of the same setting, the columns ``ROBUSTNESS``.
        costs: Of the same setting, the columns ``RECIPE_COSTS``.
        ends: The meaning of a strength and the largest one, by attack.
        dropped: What headings leave out of the names of attacks.
        width: Columns of the terminal.
    """
    rows = rows[rows["clean_accuracy"].notna()]
    of_attacks = {str(attack): part.set_index("recipe") for attack, part in aucs.groupby("attack", sort=False)}
    if WORST_CASE in of_attacks:
        rows = rows.join(of_attacks[WORST_CASE][["low", "high"]].add_prefix("worst_case_"))
    lines = records(rows)
    tops = {name: best(rows.loc[rows["mean_auc"].notna(), name]) for name in OF_SCORE}
    columns = [
        _Column(heading, [cells.written(number(row, name, tops[name])) for row in lines])
        for name, heading in OF_SCORE.items()
    ]
    for name in (name for name in map(str, rows) if name.startswith(AUC_PREFIX)):
        attack = name.removeprefix(AUC_PREFIX)
        part = of_attacks.get(attack)
        if part is not None and part["eps50_seeds"].any():
            columns.append(_eps50(cells.heading(name, dropped), part.reindex(rows.index), ends[attack]))
    paid = costs.set_index("recipe").reindex(rows.index).assign(queries=rows["queries"])
    columns += [_Column(heading, [_amount(value, name) for value in paid[name]]) for name, heading in COSTS.items()]
    columns = [column for column in columns if column.known]
    names = [cells.recipe_name(row, NAME_WIDTH) for row in lines]
    recipe = max((len(line) for name in names for line in name.plain.split("\n")), default=0)
    layouts = [(gap, packed([gap + column.width for column in columns], width - recipe)) for gap in GAPS]
    gap, tables = min(layouts, key=lambda layout: len(layout[1]))
    return [_table(names, recipe, gap, [columns[place] for place in places]) for places in tables]


def _eps50(heading: list[str], part: pd.DataFrame, end: str) -> _Column:
    """Return at which strength of an attack the accuracy halves.

    Args:
        heading: The name of the attack.
        part: Of ``ROBUSTNESS``, a row a recipe, empty where it was not measured.
        end: The meaning of a strength and the largest one.
    """
    kind, _, strongest = end.rpartition(" ")
    shown = [NOTHING if pd.isna(row["seeds"]) else eps50(row, float(strongest)) for row in records(part)]
    return _Column([*heading, "eps50", kind], list(map(cells.written, shown)))


def _amount(value: float, name: str) -> Text:
    if math.isnan(value):
        return cells.written(NOTHING)
    return Text(f"{value:,.1f}" if value < 100 and name != "queries" else f"{value:,.0f}")


def _table(names: list[Text], recipe: int, gap: int, columns: list[_Column]) -> Table:
    table = cells.plain_table()
    table.add_column("recipe", width=recipe)
    for column in columns:
        table.add_column(Text("\n".join(column.heading)), width=gap - 1 + column.width, justify="right")
    for place, name in enumerate(names):
        table.add_row(name, *(column.cells[place] for column in columns))
    return table

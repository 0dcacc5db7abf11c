"""The second table of a block: what compares recipes of different clean accuracy, and what they cost."""

import math
from typing import Any, NamedTuple

import pandas as pd
from rich.box import SIMPLE_HEAD
from rich.table import Table
from rich.text import Text

from robustbench_pix.leaderboard import cells
from robustbench_pix.leaderboard.terminal.packing import packed
from robustbench_pix.results.columns import ROBUSTNESS_PREFIX, WORST_CASE

GAPS = (3, 2, 1)
"""Between two columns, where they find room."""

NAME_WIDTH = 20
OF_SCORE = {"excess": ["excess"], "worst_case": ["worst", "case"]}
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
        return any(cell.plain != cells.ABSENT for cell in self.cells)

    @property
    def width(self) -> int:
        return max(len(line) for line in [*self.heading, *(line for it in self.cells for line in it.plain.split("\n"))])


def beside_score(
    rows: pd.DataFrame,
    robustness: pd.DataFrame,
    costs: pd.DataFrame,
    ends: dict[str, str],
    dropped: str,
    width: int,
) -> list[Table]:
    """Return one table, or several where the columns find no room side by side; none without numbers.

    Columns in which nothing is known are left out, and attacks under which no recipe's accuracy halves.

    Args:
        rows: Of the leaderboard, of one block, in their order; ``below`` says which stand below their claim.
        robustness: Of the same block, the columns ``ROBUSTNESS``.
        costs: Of the same block, the columns ``RECIPE_COSTS``.
        ends: The meaning of a strength and the largest one, by attack.
        dropped: What headings leave out of the names of attacks.
        width: Columns of the terminal.
    """
    rows = rows[rows["clean_accuracy"].notna()]
    of_attacks = {str(attack): part.set_index("recipe") for attack, part in robustness.groupby("attack", sort=False)}
    if WORST_CASE in of_attacks:
        rows = rows.join(of_attacks[WORST_CASE][["low", "high"]].add_prefix("worst_case_"))
    records = [{str(name): value for name, value in row.items()} for row in rows.to_dict("records")]
    columns = [_Column(heading, _numbers(rows, records, name)) for name, heading in OF_SCORE.items()]
    for name in (name for name in map(str, rows) if name.startswith(ROBUSTNESS_PREFIX)):
        attack = name.removeprefix(ROBUSTNESS_PREFIX)
        part = of_attacks.get(attack)
        if part is not None and part["halved_seeds"].any():
            columns.append(_halving(cells.heading(name, dropped), part.reindex(rows.index), ends[attack]))
    paid = costs.set_index("recipe").reindex(rows.index).assign(queries=rows["queries"])
    columns += [_Column(heading, [_amount(value, name) for value in paid[name]]) for name, heading in COSTS.items()]
    columns = [column for column in columns if column.known]
    names = [cells.recipe_name(row, NAME_WIDTH) for row in records]
    recipe = max((len(line) for name in names for line in name.plain.split("\n")), default=0)
    layouts = [(gap, packed([gap + column.width for column in columns], width - recipe)) for gap in GAPS]
    gap, tables = min(layouts, key=lambda layout: len(layout[1]))
    return [_table(names, recipe, gap, [columns[place] for place in places]) for places in tables]


def _numbers(rows: pd.DataFrame, records: list[dict[str, Any]], name: str) -> list[Text]:
    best = cells.best(rows.loc[rows["score"].notna(), name])
    return [cells.number(row, name, best) for row in records]


def _halving(heading: list[str], part: pd.DataFrame, end: str) -> _Column:
    """Return at which strength of an attack the accuracy halves.

    Args:
        heading: The name of the attack.
        part: Of ``ROBUSTNESS``, a row a recipe, empty where it was not measured.
        end: The meaning of a strength and the largest one.
    """
    kind, _, strongest = end.rpartition(" ")
    shown = []
    for row in part.to_dict("records"):
        if pd.isna(row["seeds"]):
            shown.append(Text(cells.ABSENT, style="dim"))
        elif row["halved_seeds"] == row["seeds"]:
            shown.append(cells.strength(row["halving"], (row["halving_high"] - row["halving_low"]) / 2))
        elif row["halved_seeds"]:
            shown.append(Text(f"{row['halved_seeds']} of {row['seeds']}"))
        else:
            shown.append(Text(f">{strongest.removeprefix('0')}"))
    return _Column([*heading, "half at", kind], shown)


def _amount(value: float, name: str) -> Text:
    if math.isnan(value):
        return Text(cells.ABSENT, style="dim")
    return Text(f"{value:,.1f}" if value < 100 and name != "queries" else f"{value:,.0f}")


def _table(names: list[Text], recipe: int, gap: int, columns: list[_Column]) -> Table:
    table = Table(box=SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=0, border_style="dim")
    table.add_column("recipe", width=recipe)
    for column in columns:
        table.add_column(Text("\n".join(column.heading)), width=gap - 1 + column.width, justify="right")
    for place, name in enumerate(names):
        table.add_row(name, *(column.cells[place] for column in columns))
    return table

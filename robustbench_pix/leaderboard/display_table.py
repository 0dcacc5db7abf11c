"""A table as data; ``latex`` and ``terminal.rich_tables`` write it."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple

import pandas as pd

from robustbench_pix.leaderboard.display import ABSENT, Cell, beside_claims
from robustbench_pix.results.columns import SETTING


@dataclass(frozen=True)
class Column:
    """A column.

    Attributes:
        heading: Its lines.
        cells: From top to bottom.
        name: The column of the CSV file that holds the numbers, where a reader of this table needs it.
        attack: The attack that it belongs to, named above the heading.
        unit: The unit of its numbers, a kind of strength.
        group: The heading that it shares with its neighbours.
        text: Whether it holds texts, aligned at the left.
    """

    heading: tuple[str, ...]
    cells: tuple[Cell, ...]
    name: str = ""
    attack: str = ""
    unit: str = ""
    group: str = ""
    text: bool = False

    @property
    def known(self) -> bool:
        """Whether any cell holds a value."""
        return any(cell.text != ABSENT for cell in self.cells)


@dataclass(frozen=True)
class DisplayTable:
    """A table.

    Attributes:
        columns: From left to right.
        stub: How many columns at the left name a row; a table that is split over several repeats them.
        sections: Headings over all columns, by the row that they precede; "" is a gap.
        caption: The title.
        notes: The meaning of its columns and marks.
    """

    columns: tuple[Column, ...]
    stub: int = 1
    sections: Mapping[int, str] = field(default_factory=dict)
    caption: str = ""
    notes: tuple[str, ...] = ()

    @property
    def lines(self) -> list[tuple[Cell, ...]]:
        """The cells, row by row."""
        return list(zip(*(column.cells for column in self.columns), strict=True))

    def known(self) -> "DisplayTable":
        """Return the table without columns in which nothing is known."""
        return replace(
            self, columns=self.columns[: self.stub] + tuple(filter(lambda it: it.known, self.columns[self.stub :]))
        )

    def beside(self, other: "DisplayTable") -> "DisplayTable":
        """Return this table with the columns of another one of the same rows at its right."""
        return replace(self, columns=self.columns + other.columns[other.stub :], notes=self.notes + other.notes)

    def split(self, widths: Sequence[float], room: float) -> list["DisplayTable"]:
        """Return as few tables as hold all columns in a room, each with the stub; ``widths`` are of all columns."""
        stub = self.stub
        tables = packed(widths[stub:], room - sum(widths[:stub])) or [[]]
        return [
            replace(self, columns=self.columns[:stub] + tuple(self.columns[stub + place] for place in places))
            for places in tables
        ]


def columns_of(
    headings: Sequence[str], rows: Sequence[Sequence[Cell]], texts: Sequence[str] = ("recipe",)
) -> list[Column]:
    """Return columns from rows of cells, each with a heading of one line; those of ``texts`` hold texts."""
    return [
        Column((heading,), tuple(row[place] for row in rows), text=heading in texts)
        for place, heading in enumerate(headings)
    ]


def packed(widths: Sequence[float], room: float) -> list[list[int]]:
    """Return the places of columns, in order, over as few tables as hold them, none wider than need be.

    A column that is wider than the room stands alone.

    >>> packed([5, 5, 5, 5], 16), packed([5, 30, 5], 16)
    ([[0, 1], [2, 3]], [[0], [1], [2]])
    """
    fewest = len(_filled(widths, room))
    ends = sorted(
        {sum(widths[first:last]) for first in range(len(widths)) for last in range(first + 1, len(widths) + 1)}
    )
    return next((tables for limit in [*ends, room] if len(tables := _filled(widths, limit)) <= fewest), [])


def _filled(widths: Sequence[float], room: float) -> list[list[int]]:
    """Return the places of columns, each table filled before the next begins."""
    tables: list[list[int]] = []
    left = room
    for place, width in enumerate(widths):
        if not tables or width > left:
            tables.append([])
            left = room
        tables[-1].append(place)
        left -= width
    return tables


class SettingRows(NamedTuple):
    """A setting of a board.

    Attributes:
        key: The values of ``SETTING``.
        rows: The leaderboard, each claim with its controls below (column ``below``).
        measured: The measurements.
    """

    key: tuple[object, ...]
    rows: pd.DataFrame
    measured: pd.DataFrame

    @property
    def first(self) -> "pd.Series[str]":
        """A row, for the facts that all rows share."""
        return self.rows.iloc[0]

    def of(self, table: pd.DataFrame) -> pd.DataFrame:
        """Return the rows of another table that belong to this setting, in its order of recipes."""
        places = {recipe: place for place, recipe in enumerate(self.rows["recipe"])}
        chosen = table[(table[SETTING] == list(self.key)).all(axis="columns") & table["recipe"].isin(list(places))]
        return chosen.sort_values("recipe", key=lambda names: names.map(places), kind="stable", ignore_index=True)

    def name(self, recipe: str) -> Cell:
        """Return the name of a recipe, indented below the claim that it controls."""
        row = self.rows.loc[recipe]
        return Cell(recipe, words=True, indent=bool(row["below"]), style="dim" if row["controls"] else "")

    def names(self, recipes: Sequence[str]) -> Column:
        """Return the column of names at the left of a table."""
        return Column(("recipe",), tuple(map(self.name, recipes)), text=True)

    def scored(self, table: pd.DataFrame) -> pd.DataFrame:
        """Return the rows of recipes with a mean AUC; only among them one is marked as the best."""
        return table[table["recipe"].isin(self.rows.loc[self.rows["mean_auc"].notna(), "recipe"])]


def settings_of(leaderboard: pd.DataFrame, measurements: pd.DataFrame) -> Iterator[SettingRows]:
    """Yield the settings of a board.

    Args:
        leaderboard: As ``build_leaderboard`` returns it.
        measurements: The measurements behind it.
    """
    measured = dict(iter(measurements.groupby(SETTING, sort=False)))
    for key, rows in leaderboard.groupby(SETTING, sort=False):
        order = beside_claims(dict(zip(rows["recipe"], rows["controls"], strict=True)))
        ordered = rows.set_index("recipe", drop=False).rename_axis(None).loc[[recipe for recipe, _ in order]]
        ordered = ordered.assign(below=[below for _, below in order])
        yield SettingRows(key, ordered, measured.get(key, measurements.iloc[:0]))

"""Tables in a terminal: cells of two lines, aligned digit below digit, readable without colour."""

import math
import textwrap
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Literal

import numpy as np
import pandas as pd
from rich.box import SIMPLE_HEAD
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from robustbench_pix.attacks.recorded import CHECKPOINTS
from robustbench_pix.leaderboard.attack_tables import query_table
from robustbench_pix.leaderboard.captions import flowing
from robustbench_pix.leaderboard.display import Cell, at_middle_strength, records
from robustbench_pix.leaderboard.display_table import Column, DisplayTable
from robustbench_pix.leaderboard.terminal.plots import sparkline
from robustbench_pix.results.columns import SETTING

INDENT = 1
HEADING_WIDTH = 8
"""Characters of a line of a heading; a longer word takes more."""

NAME_WIDTH = 24
"""Characters of a name at the left of a table; a longer one is wrapped."""

GAPS = (3, 2, 1)
"""Characters between two columns: the first that needs the fewest tables."""


def plain_table() -> Table:
    """Return an empty table with one rule, below its head."""
    return Table(box=SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=(0, 0, 0, 0), border_style="dim")


def rich_tables(table: DisplayTable, width: int, dropped: str = "") -> list[Table]:
    """Return a table, or several where its columns do not fit beside each other.

    Args:
        table: The table.
        width: Columns of the terminal.
        dropped: The word that headings leave out of the names of attacks.
    """
    heads = ["\n".join(heading(column, dropped)) for column in table.columns]
    texts = [list(map(written, column.cells)) for column in table.columns]
    widths = [max(map(_width, [head, *(text.plain for text in of)])) for head, of in zip(heads, texts, strict=True)]
    layouts = [(gap, table.split([wide + gap for wide in widths], width + gap)) for gap in GAPS]
    gap, parts = min(layouts, key=lambda layout: len(layout[1]))
    drawn = []
    for part in parts:
        rich = plain_table()
        places = [table.columns.index(column) for column in part.columns]
        for place, column in zip(places, part.columns, strict=True):
            before = gap - 1 if place and not column.text else 0
            justify: Literal["left", "right"] = "left" if column.text else "right"
            rich.add_column(Text(heads[place]), width=before + widths[place], justify=justify)
        for row in range(len(table.columns[0].cells)):
            if (section := table.sections.get(row)) is not None:
                rich.add_section()
                if section:
                    rich.add_row(Text(section, "italic"))
            rich.add_row(*(texts[place][row] for place in places))
        drawn.append(rich)
    return drawn


def heading(column: Column, dropped: str) -> list[str]:
    """Return the lines above a column; a heading without spaces is broken at hyphens."""
    lines = [part for line in column.heading for part in ([line] if " " in line else words(line))]
    return [*filter(None, [*column.group.split(), *words(column.attack, dropped), *lines, column.unit])]


QUERY_CURVE = 12
"""Characters of a curve of success against queries."""

QUERY_LEGEND = ("curve: success rate from 10 queries to the budget, on a logarithmic scale", "▁ to █: 0 to 1")


def render_queries(queries: pd.DataFrame, width: int) -> Group:
    """Return the tables of all attacks, each at the perturbation size in the middle of those above 0.

    Args:
        queries: The columns ``QUERIES``.
        width: Columns of the terminal.
    """
    parts: list[RenderableType] = []
    notes: list[str] = []
    for _, rows in queries.groupby([*SETTING, "attack"], sort=False):
        rows = at_middle_strength(rows)
        first, table = rows.iloc[0], query_table(rows)
        of = f"  {first['attack']}, {first['strength_kind']} {first['strength']:.3g}"
        size = "" if first["size"] == "full" else f", size {first['size']}"
        suite = f"suite {first['suite']} {first['suite_version']}{size}, {table.caption}"
        curves = Column(("curve",), tuple(Cell(_query_curve(row), words=True, style="dim") for row in records(rows)))
        drawn = min(
            (rich_tables(it, width) for it in (replace(table, columns=(*table.columns, curves)), table)), key=len
        )
        head = Text.assemble((f"{first['task']} : {first['regularization_data']}", "bold"), of)
        parts += [head, Text(suite, style="dim"), "", *(part for table in drawn for part in (table, ""))]
        notes += [note for note in table.notes if note not in notes]
    return Group(*parts, Text(flowing([*notes, *QUERY_LEGEND], width), style="dim"))


def _query_curve(row: dict[str, Any]) -> str:
    known = [count for count in CHECKPOINTS if not math.isnan(row[f"success_at_{count}"])]
    if not known:
        return ""
    places = np.log(known)
    even = np.linspace(places[0], places[-1], QUERY_CURVE)
    return sparkline(np.interp(even, places, [row[f"success_at_{count}"] for count in known]), QUERY_CURVE)


def _width(text: str) -> int:
    return max(map(len, text.split("\n")))


def written(cell: Cell) -> Text:
    """Return a cell: the best is bold with a star; below it stands its interval, dim, or its further lines."""
    indent = " " * INDENT * cell.indent
    if cell.words:
        name = wrapped(cell.text, NAME_WIDTH) if len(cell.text) > NAME_WIDTH - len(indent) else [cell.text]
        lines = [Text("\n".join(indent + line for line in name), cell.style)]
    else:
        lines = [Text(f"*{cell.text}", f"bold {cell.style}".strip()) if cell.best else Text(cell.text, cell.style)]
    interval = f"±{cell.half}" if cell.half else "–".join(cell.ends)
    below = cell.below or ([(interval, "dim")] if interval else [])
    return Text("\n").join([*lines, *(Text(indent + line, style) for line, style in below)])


def wrapped(name: str, width: int) -> list[str]:
    """Break a name at hyphens; a hyphen that does not fit at the end of its line is left out.

    >>> wrapped("salt-and-pepper", 10), wrapped("transfer-fgsm", 8)
    (['salt-and-', 'pepper'], ['transfer', 'fgsm'])
    """
    lines = [""]
    for word in name.replace("-", "- ").split():
        if len(lines[-1]) + len(word.rstrip("-")) > width:
            lines.append("")
        lines[-1] += word
    return [part for line in lines for part in textwrap.wrap(line.rstrip("-") if len(line) > width else line, width)]


def shared_word(names: Sequence[str]) -> str:
    """Return the first word of all names with its hyphen, or "" where headings cannot do without it.

    >>> shared_word(["corruption-fog", "corruption-frost"]), shared_word(["simba", "simba-dct"]), shared_word(["a-b"])
    ('corruption-', '', '')
    """
    word = "".join(names[0].partition("-")[:2]) if len(names) > 1 else ""
    return word if all(name.startswith(word) and name != word for name in names) else ""


def words(name: str, dropped: str = "") -> list[str]:
    """Break a name at hyphens into the lines of a heading; no word is broken, and the word ``dropped`` is left out.

    >>> words("salt-and-pepper"), words("corruption-brightness"), words("corruption-fog", "corruption-")
    (['salt-and', 'pepper'], ['corruption', 'brightness'], ['fog'])
    """
    name = name.removeprefix(dropped)
    return wrapped(name, max(HEADING_WIDTH, *map(len, name.split("-")))) if name else []

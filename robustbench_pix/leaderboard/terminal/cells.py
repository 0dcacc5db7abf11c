"""The cells of the terminal's table: two lines each, aligned digit below digit, readable without colour."""

import textwrap
from collections.abc import Sequence
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.table import Table
from rich.text import Text

from robustbench_pix.leaderboard.display import DOUBTS, Cell, ranks
from robustbench_pix.results.derived_columns import AUC_PREFIX, DISTANCE_PREFIX
from robustbench_pix.results.gradient_masking import doubt

INDENT = 1
HEADING_WIDTH = 8
"""Of a heading's lines; a longer word takes more."""


def plain_table(padding: tuple[int, int, int, int] = (0, 0, 0, 0)) -> Table:
    """Return an empty table with one rule, below its head."""
    return Table(box=SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=padding, border_style="dim")


def written(cell: Cell, below: str = "") -> Text:
    """Return a cell: what is best is bold with a star; below the number stand its interval or what is given, dim."""
    if cell.words:
        return Text(cell.text, cell.style)
    below = below or (f"±{cell.half}" if cell.half else "–".join(cell.ends))
    marked = (f"*{cell.text}", f"bold {cell.style}".strip()) if cell.best else (cell.text, cell.style)
    return Text.assemble(marked, (below and f"\n{below}", "dim"))


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


def words(name: str) -> list[str]:
    """Break the name of an attack at hyphens into the lines of a heading; no word is broken.

    >>> words("salt-and-pepper"), words("corruption-brightness")
    (['salt-and', 'pepper'], ['corruption', 'brightness'])
    """
    return wrapped(name, max(HEADING_WIDTH, *map(len, name.split("-"))))


def heading(column: str, dropped: str) -> list[str]:
    """Return the lines above an attack's column, no word broken; of its name the word ``dropped`` is left out."""
    name = column.removeprefix(DISTANCE_PREFIX).removeprefix(AUC_PREFIX).removeprefix(dropped)
    return words(name) + ["distance"] * column.startswith(DISTANCE_PREFIX)


def rank(row: dict[str, Any]) -> Text:
    """Return the ranks that are possible and, below, the letters of the groups; nothing without a verdict."""
    return Text.assemble(possible, (f"\n{row['group']}", "dim")) if (possible := ranks(row, "-")) else Text()


def recipe_name(row: dict[str, Any], width: int) -> Text:
    """Return the name of a recipe; that of a control is dim, and indented where it stands below its claim."""
    indent = " " * INDENT * row["below"]
    lines = wrapped(row["recipe"], width - len(indent))
    return Text("\n".join(indent + line for line in lines), style="dim" if row["controls"] else "")


def recipe(row: dict[str, Any], width: int) -> Text:
    """Return the name of a recipe; below, dim, what it controls, and in yellow what is wrong with it."""
    below = row["below"]
    control = "control" if below else f"control of {row['controls']}" if row["controls"] else ""
    width -= INDENT * below
    lines = [(control if len(control) <= width else "control", "dim")] if control else []
    lines += [(row["status"], "yellow")] if row["status"] != "complete" else []
    word = doubt(row["gradients"])
    lines += [(word if width < len(DOUBTS[word]) else DOUBTS[word], "yellow")] if word else []
    told = [Text(" " * INDENT * below + line, style) for line, style in lines]
    return Text("\n").join([recipe_name(row, width + INDENT * below), *told])

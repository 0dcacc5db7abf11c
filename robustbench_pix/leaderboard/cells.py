"""The cells of the terminal's table: two lines each, aligned digit below digit, readable without colour."""

import math
import textwrap
from collections.abc import Sequence
from typing import Any

import pandas as pd
from rich.text import Text

from robustbench_pix.leaderboard.sparkline import sparkline
from robustbench_pix.results.columns import DISTANCE_PREFIX, ROBUSTNESS_PREFIX

ABSENT = "–"
MASKED = "masked gradients"
INDENT = 1
HEADING_WIDTH = 8
"""Of a heading's lines; a longer word takes more."""

SIGNED = ("gain", "excess")
"""Differences: with a sign, and coloured where their interval excludes 0."""


def share(value: float, *, signed: bool = False) -> str:
    """Return a number between -1 and 1 with three decimals and no leading zero.

    >>> share(0.8123), share(1.0), share(-0.0124, signed=True), share(0.045, signed=True)
    ('.812', '1.00', '-.012', '+.045')
    """
    text = f"{value:+.3f}" if signed else f"{value:.3f}"
    return text[:-1] if abs(round(value, 3)) >= 1 else text.replace("0.", ".", 1)


def distance(value: float) -> str:
    """Return a small number with one decimal and a short exponent.

    >>> distance(0.00283)
    '2.8e-3'
    """
    mantissa, exponent = f"{value:.1e}".split("e")
    return f"{mantissa}e{int(exponent)}"


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
    name = column.removeprefix(DISTANCE_PREFIX).removeprefix(ROBUSTNESS_PREFIX).removeprefix(dropped)
    return words(name) + ["distance"] * column.startswith(DISTANCE_PREFIX)


def rank(row: dict[str, Any]) -> Text:
    """Return the ranks that are possible and, below, the letters of the groups that are not told apart."""
    if pd.isna(row["rank"]):
        return Text()
    low, high = row["rank_low"], row["rank_high"]
    return Text.assemble(str(low) if low == high else f"{low}-{high}", (f"\n{row['group']}", "dim"))


def best(values: "pd.Series[float]") -> float:
    """Return the value to mark: the largest, if there is a choice and, for differences, if anything was gained."""
    known = values.dropna()
    marked = len(known) > 1 and not str(values.name).startswith(DISTANCE_PREFIX)
    return float(known.max()) if marked and (values.name not in SIGNED or known.max() > 0) else float("nan")


def strength(value: float, half: float) -> Text:
    """Return a strength with three digits and, below, half of its interval with as many decimals.

    >>> strength(0.68404, 0.0548).plain, strength(3.456, float("nan")).plain, strength(12.3, 1.0).plain
    ('.684\\n±.055', '3.46', '12.3\\n±1.0')
    """
    decimals = max(2 - math.floor(math.log10(value)), 0)
    shown = [f"{number:.{decimals}f}".removeprefix("0") for number in (value, half)]
    return Text.assemble(shown[0], ("" if math.isnan(half) else f"\n±{shown[1]}", "dim"))


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
    lines += [("masked" if width < len(MASKED) else MASKED, "yellow")] if row["gradients"].startswith("masked") else []
    told = [Text(" " * INDENT * below + line, style) for line, style in lines]
    return Text("\n").join([recipe_name(row, width + INDENT * below), *told])


def number(row: dict[str, Any], name: str, best: float) -> Text:
    """Return a number with half of its interval below; the best is bold and has a star."""
    value, signed = row[name], name in SIGNED
    if pd.isna(value):
        return Text(ABSENT, style="dim")
    interval = name.removesuffix("_accuracy")
    low, high = (row.get(f"{interval}_{end}", float("nan")) for end in ("low", "high"))
    half = "" if pd.isna(low) else f"\n±{share((high - low) / 2)}"
    colour = ("green" if low > 0 else "red" if high < 0 else "") if signed else ""
    return Text.assemble(_marked(share(value, signed=signed), share(value) == share(best), colour), (half, "dim"))


def attack(row: dict[str, Any], column: str, best: float, accuracies: Sequence[float]) -> Text:
    """Return the robustness under an attack with the curve of the accuracy below, or a distance."""
    value = row[column]
    if pd.isna(value):
        return Text(ABSENT, style="dim")
    if column.startswith(DISTANCE_PREFIX):
        return Text(distance(value))
    curve = sparkline(accuracies, len(accuracies))
    return Text.assemble(_marked(share(value), share(value) == share(best), ""), "\n", (curve, "dim"))


def _marked(text: str, best: bool, colour: str) -> tuple[str, str]:
    return (f"*{text}", f"bold {colour}".strip()) if best else (text, colour)

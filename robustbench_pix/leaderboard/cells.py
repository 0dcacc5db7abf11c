"""The cells of the terminal's table: two lines each, aligned digit below digit, readable without colour."""

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


def heading(column: str, width: int) -> str:
    """Return the heading of an attack's column."""
    if column.startswith(DISTANCE_PREFIX):
        return "\n".join([*wrapped(column.removeprefix(DISTANCE_PREFIX), width), "distance"])
    return "\n".join(wrapped(column.removeprefix(ROBUSTNESS_PREFIX), width))


def best(values: "pd.Series[float]") -> float:
    """Return the value to mark: the largest, if there is a choice and, for gains, if anything was gained."""
    known = values.dropna()
    marked = len(known) > 1 and not str(values.name).startswith(DISTANCE_PREFIX)
    return float(known.max()) if marked and (values.name != "gain" or known.max() > 0) else float("nan")


def recipe(row: dict[str, Any], width: int) -> Text:
    """Return the name of a recipe; below, dim, what it controls, and in yellow what is wrong with it.

    A control that stands below its claim is indented.
    """
    below = row["below"]
    control = "control" if below else f"control of {row['controls']}" if row["controls"] else ""
    width -= INDENT * below
    lines = [(line, "dim" if control else "") for line in wrapped(row["recipe"], width)]
    lines += [(control if len(control) <= width else "control", "dim")] if control else []
    lines += [(row["status"], "yellow")] if row["status"] != "complete" else []
    lines += [("masked" if width < len(MASKED) else MASKED, "yellow")] if row["gradients"].startswith("masked") else []
    return Text("\n").join(Text(" " * INDENT * below + line, style) for line, style in lines)


def number(row: dict[str, Any], name: str, best: float) -> Text:
    """Return a number with half of its interval below; the best is bold and has a star."""
    value, signed = row[name], name == "gain"
    if pd.isna(value):
        return Text(ABSENT, style="dim")
    interval = name.removesuffix("_accuracy")
    low, high = row[f"{interval}_low"], row[f"{interval}_high"]
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

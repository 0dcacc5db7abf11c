"""Curves in a terminal: of one line below a number, and plots of lines beside each other."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from rich.text import Text

from robustbench_pix.results.statistics.aucs import strength_curves
from robustbench_pix.results.statistics.measured import BASELINE

BLOCKS = "▁▂▃▄▅▆▇█"


def sparkline(values: Sequence[float] | NDArray[np.floating], width: int) -> str:
    """Return evenly spaced values from 0 to 1 as bars on an absolute scale: a full bar is 1.

    The values are resampled to ``width`` by linear interpolation; each character is the bar of the nearest height,
    at least one eighth. Where a value is NaN the line has a space.

    >>> sparkline([1.0, 0.5, 0.0], 3)
    '█▄▁'
    >>> sparkline([1.0, 0.0], 8)
    '█▇▆▅▃▂▁▁'
    """
    if len(values) == 0:
        return " " * width
    known = np.asarray(values, dtype=float)
    resampled = np.interp(np.linspace(0, known.size - 1, width), np.arange(known.size), known)
    return "".join(" " if np.isnan(value) else _setting(value) for value in resampled)


def _setting(value: float) -> str:
    return BLOCKS[int(np.clip(round(value * len(BLOCKS)), 1, len(BLOCKS))) - 1]


HEIGHT = 6
"""Lines of characters from accuracy 0 to 1."""

AXIS = 3
"""Characters left of the curves."""

LETTERS = "abcde"
COLOURS = ("", "magenta", "cyan", "green", "red")
"""Colours of the curves, in their order, visible on white and on black."""

LETTERS_ON_A_CURVE = 2
DOTS = np.array([[0x01, 0x08], [0x02, 0x10], [0x04, 0x20], [0x40, 0x80]])
"""The bits of the eight dots of a braille character, four rows of two, counted from U+2800 (Unicode 15, 21.1)."""

Curve = NDArray[np.float64]


def plot(curves: Sequence[Curve | None], title: str, end: str, width: int) -> list[Text]:
    """Return the lines of a plot, each ``width`` characters wide: title, curves, and the axis of perturbation sizes.

    Args:
        curves: At most five. Values from 0 to 1 at evenly spaced perturbation sizes, from left to right; None for an
            absent curve, which keeps its letter and its colour.
        title: The first line, cut if it is too long.
        end: The largest perturbation size, at the right of the last line.
        width: Characters of a line, at least ``AXIS`` + 10.
    """
    columns = width - AXIS
    dots = np.zeros((HEIGHT, columns), dtype=int)
    styles = np.full((HEIGHT, columns), "", dtype=object)
    letters = np.full((HEIGHT, columns), "", dtype=object)
    for place, curve in reversed(list(enumerate(curves))):
        if curve is not None:
            marks = _marks(curve, columns)
            dots |= marks
            styles[marks > 0] = COLOURS[place]
    for place, curve in enumerate(curves):
        if curve is not None:
            for row, column in _spots(_marks(curve, columns), place, len(curves)):
                letters[row, column], styles[row, column] = LETTERS[place], f"bold {COLOURS[place]}".strip()
    lines = [Text(title[:width].ljust(width), style="bold")]
    labels = {0: "1", HEIGHT // 2: ".5", HEIGHT - 1: "0"}
    for row in range(HEIGHT):
        line = Text(f"{labels.get(row, ''):>{AXIS - 1}} ", style="")
        line.stylize("dim")
        for column in range(columns):
            shown = letters[row, column] or (chr(0x2800 + dots[row, column]) if dots[row, column] else " ")
            line.append(shown, style=styles[row, column] or None)
        lines.append(line)
    return [*lines, Text(f"{'':{AXIS}}0{end:>{columns - 1}}", style="dim")]


def _marks(curve: Curve, columns: int) -> NDArray[np.int_]:
    """Return the bits of the characters that a curve passes through, (HEIGHT, columns), connected without gaps."""
    rows = HEIGHT * 4
    values = np.interp(np.linspace(0, len(curve) - 1, columns * 2), np.arange(len(curve)), curve)
    heights = np.rint((1 - np.clip(values, 0, 1)) * (rows - 1)).astype(int)
    marks = np.zeros((HEIGHT, columns), dtype=int)
    before = heights[0]
    for place, height in enumerate(heights):
        first = height if before == height else before + (1 if height > before else -1)
        for dot in range(min(first, height), max(first, height) + 1):
            marks[dot // 4, place // 2] |= DOTS[dot % 4, place % 2]
        before = height
    return marks


def _spots(marks: NDArray[np.int_], place: int, count: int) -> list[tuple[int, int]]:
    """Return where the letters of one of several curves go: on it, each curve's in columns of its own."""
    turns = np.arange(LETTERS_ON_A_CURVE)
    columns = (marks.shape[1] * (turns + (place + 0.5) / count) / LETTERS_ON_A_CURVE).astype(int)
    return [(int(np.flatnonzero(marks[:, column])[0]), int(column)) for column in columns]


LEAST_WIDTH, MOST_WIDTH, GAP = 32, 46, 3
"""Characters of a plot, and between two."""

POINTS = 201

Curves = dict[tuple[str, str], "pd.Series[float]"]


def mean_curves(rows: pd.DataFrame, measured: pd.DataFrame) -> Curves:
    """Return the mean accuracy by perturbation size for each (recipe, attack), over the seeds that entered its row."""
    of = strength_curves(measured, rows).groupby(["recipe", "attack"])
    return {(str(recipe), str(attack)): curve.set_index("strength")["accuracy"] for (recipe, attack), curve in of}


def evenly(curve: "pd.Series[float]", points: int) -> list[float]:
    """Return a curve at evenly spaced perturbation sizes from 0 to the largest."""
    return list(np.interp(np.linspace(0, curve.index[-1], points), curve.index, curve))


def drawn_recipes(curves: Curves, recipes: list[str]) -> list[str]:
    """Return the recipes to draw: unregularized and the first others, in the order of the table."""
    measured = {recipe for recipe, _ in curves}
    others = [recipe for recipe in recipes if recipe in measured - {BASELINE}]
    return [*sorted({BASELINE} & measured), *others[: len(LETTERS) - 1]]


def plots(curves: Curves, recipes: list[str], attacks: list[str], ends: dict[str, str], width: int) -> list[Text]:
    """Return the plots of all attacks below their key; nothing where there is no room or no curve.

    Args:
        curves: As ``mean_curves`` returns them.
        recipes: Those to draw, at most five.
        attacks: Those to draw.
        ends: The text at the right end of the axis of each attack.
        width: Columns of the terminal.
    """
    drawn = [attack for attack in attacks if any(len(curves.get((recipe, attack), ())) > 1 for recipe in recipes)]
    if not drawn or width < LEAST_WIDTH:
        return []
    fitting = (width + GAP) // (LEAST_WIDTH + GAP)
    across = -(-len(drawn) // -(-len(drawn) // fitting))
    each = min((width + GAP) // across - GAP, MOST_WIDTH)
    lines = _key(recipes, width)
    for start in range(0, len(drawn), across):
        beside = [
            plot([_dense(curves.get((recipe, attack))) for recipe in recipes], attack, ends[attack], each)
            for attack in drawn[start : start + across]
        ]
        lines += [Text(), *(Text(" " * GAP).join(parts) for parts in zip(*beside, strict=True))]
    return [*lines, Text()]


def _key(recipes: list[str], width: int) -> list[Text]:
    """Return the letters with their recipes, broken between recipes only."""
    lines = [Text("accuracy", style="dim")]
    for letter, colour, recipe in zip(LETTERS, COLOURS, recipes, strict=False):
        entry = Text.assemble((letter, f"bold {colour}".strip()), f" {recipe}")
        if len(lines[-1]) + 2 + len(entry) <= width:
            lines[-1] = Text("  ").join([lines[-1], entry])
        else:
            lines.append(entry)
    return lines


def _dense(curve: "pd.Series[float] | None") -> "np.ndarray[tuple[int], np.dtype[np.float64]] | None":
    return None if curve is None or curve.empty else np.array(evenly(curve, POINTS))

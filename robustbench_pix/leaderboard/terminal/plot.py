"""Curves drawn with braille dots, each told by the letters that stand on it; colour only helps."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from rich.text import Text

HEIGHT = 6
"""Lines of characters from accuracy 0 to 1."""

AXIS = 3
"""Characters left of the curves."""

LETTERS = "abcde"
COLOURS = ("", "magenta", "cyan", "green", "red")
"""Of the curves, in their order; such as can be seen on white and on black."""

LETTERS_ON_A_CURVE = 2
DOTS = np.array([[0x01, 0x08], [0x02, 0x10], [0x04, 0x20], [0x40, 0x80]])
"""The bits of the eight dots of a braille character, four rows of two, counted from U+2800 (Unicode 15, 21.1)."""

Curve = NDArray[np.float64]


def plot(curves: Sequence[Curve | None], title: str, end: str, width: int) -> list[Text]:
    """Return the lines of a plot, each ``width`` characters wide: title, curves, and the axis of the strengths.

    Args:
        curves: At most five. Values from 0 to 1 at evenly spaced strengths, the first at the left, the last at the
            right; None for a curve that is not there but keeps its letter and its colour.
        title: The first line, cut if it is too long.
        end: The strongest, at the right of the last line.
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

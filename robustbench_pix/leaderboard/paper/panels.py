"""The panels of a figure, one a combination, in the widths of a paper, with their names and a legend below."""

from collections.abc import Iterable
from typing import Any, NamedTuple

import pandas as pd

from robustbench_pix.leaderboard.paper.figure_style import block_name

COLUMN_INCHES, PAGE_INCHES = 3.25, 6.75
"""The width of a column, and of both, in a paper of two columns."""

ROW_INCHES, ABOVE_INCHES, LEGEND_LINE_INCHES = 1.95, 0.25, 0.14
"""The height of a row of panels, of what stands above them, and of a line of the legend."""

LETTER_INCHES, HANDLE_INCHES = 0.058, 0.55
"""About how wide a letter of the legend is, and the line drawn before its text."""


class Panel(NamedTuple):
    """What one combination shows: its block, what stands below its name, our rows and the published ones."""

    block: pd.Series
    told: str
    ours: pd.DataFrame
    published: pd.DataFrame


def grid(panels: int) -> tuple[int, int, float]:
    """Return the rows and columns in which panels stand, and the width of the figure in inches."""
    columns = {1: 1, 2: 2, 4: 2}.get(panels, 3)
    return -(-panels // columns), columns, COLUMN_INCHES if columns == 1 else PAGE_INCHES


def empty_figure(panels: list[Panel]) -> tuple[Any, list[Any]]:
    """Return a figure without legend, and its places: a panel each, with its name, nothing drawn yet."""
    from matplotlib.figure import Figure

    rows, columns, wide = grid(len(panels))
    figure = Figure(figsize=(wide, ABOVE_INCHES + ROW_INCHES * rows), layout="constrained")
    places = [figure.add_subplot(rows, columns, number + 1) for number in range(len(panels))]
    for place, panel in zip(places, panels, strict=True):
        name, network = block_name(panel.block)
        place.set_title(f"{name}\n{network}, {panel.told}", linespacing=1.3)
    return figure, places


def name_axes(places: list[Any], across: str, up: str) -> None:
    """Name the axis that runs across below the lowest panel of each column, the other one left of each row."""
    columns = grid(len(places))[1]
    for number, place in enumerate(places):
        if number + columns >= len(places):
            place.set_xlabel(across)
    for place in first_of_rows(places):
        place.set_ylabel(up)


def first_of_rows(places: list[Any]) -> list[Any]:
    """Return the leftmost panel of each row."""
    return places[:: grid(len(places))[1]]


def legend(figure: Any, handles: Iterable[Any]) -> None:
    """Put a legend below the panels, in as many columns as the width holds, and make the figure higher by it."""
    handles = list(handles)
    wide, high = figure.get_size_inches()
    longest = max(len(handle.get_label()) for handle in handles)
    columns = max(1, min(len(handles), int(wide / (HANDLE_INCHES + LETTER_INCHES * longest))))
    figure.set_size_inches(wide, high + LEGEND_LINE_INCHES * -(-len(handles) // columns))
    figure.legend(handles=handles, loc="outside lower center", ncols=columns, columnspacing=1.2)

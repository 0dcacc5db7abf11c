"""The small charts of the page: how lines look, how a chart is laid out, and the charts of queries."""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd

from robustbench_pix.attacks.recorded import CHECKPOINTS
from robustbench_pix.leaderboard.display import at_middle_strength
from robustbench_pix.results.statistics.measured import BASELINE

COLOURS = 6
"""Colours after that of ``unregularized``; the style sheet holds them, after Okabe and Ito 2008."""

AT_FIRST = 7
"""As many lines are drawn before a reader chooses."""


class LineStyle(NamedTuple):
    """A colour (0 is that of ``unregularized``), how the line is dashed, and whether it is drawn at first."""

    colour: int
    dashes: str
    drawn: bool


def line_styles(leaderboard: pd.DataFrame) -> dict[str, LineStyle]:
    """Return the style of every recipe with numbers: claims before controls, each by name; controls are dashed.

    Of more than seven recipes, ``unregularized`` and the claims with the highest mean AUC are drawn at first.
    """
    rows = leaderboard[leaderboard["clean_accuracy"].notna()]
    controls = set(rows.loc[rows["controls"] != "", "recipe"])
    others = sorted(set(rows["recipe"]) - {BASELINE}, key=lambda name: (name in controls, name))
    mean_aucs = rows.groupby("recipe")["mean_auc"].mean().reindex(others).fillna(-1.0)
    preferred = sorted(others, key=lambda name: (name in controls, -mean_aucs[name], name))
    drawn = {BASELINE, *preferred[: AT_FIRST - 1]}
    styles = {BASELINE: LineStyle(0, "solid", True)} if BASELINE in set(rows["recipe"]) else {}
    for place, name in enumerate(others):
        further = place >= COLOURS
        dashes = "control" if name in controls else "further" if further else "solid"
        styles[name] = LineStyle(1 + place % COLOURS, dashes, name in drawn)
    return styles


LEFT, RIGHT, TOP, BOTTOM = 30, 258, 10, 190
LABEL_GAP = 13.0
"""Between the base lines of two names."""


class Points(NamedTuple):
    """A line to be drawn: where it is known, and its band where it has one; accuracies and rates are 0 to 1."""

    recipe: str
    name: str
    style: LineStyle
    published: bool
    x: Sequence[float]
    y: Sequence[float]
    low: Sequence[float]
    high: Sequence[float]


class Line(NamedTuple):
    """A drawn line: SVG paths, the height of its end and the height of its name."""

    recipe: str
    name: str
    style: LineStyle
    published: bool
    path: str
    band: str
    end: float
    label: float


class Panel(NamedTuple):
    """A drawn chart; ticks are (position, text)."""

    title: str
    measure: str
    access: str
    axis: str
    x_ticks: list[tuple[float, str]]
    y_ticks: list[tuple[float, str]]
    lines: list[Line]
    caption: str


def panel(
    title: str,
    access: str,
    axis: str,
    lines: Iterable[Points],
    *,
    measure: str = "Accuracy",
    logarithmic: bool = False,
    caption: str = "",
) -> Panel:
    """Lay out a chart; names are spread over those lines only that are drawn at first."""
    lines = list(lines)
    first, last = min(min(line.x) for line in lines), max(max(line.x) for line in lines)
    across = _across(first, last, logarithmic)
    ends = [_down(line.y[-1]) for line in lines]
    drawn = [place for place, line in enumerate(lines) if line.style.drawn]
    labels = dict(zip(drawn, spread([ends[place] for place in drawn]), strict=True))
    return Panel(
        title,
        measure,
        access,
        axis,
        [(round(across(value), 1), tick(value)) for value in _ticks(first, last, logarithmic)],
        [(_down(value), tick(value)) for value in (0.0, 0.5, 1.0)],
        [_line(line, across, ends[place], labels.get(place, ends[place])) for place, line in enumerate(lines)],
        caption,
    )


def spread(wanted: Sequence[float]) -> list[float]:
    """Return heights near the wanted ones and in their order, at least a gap apart as far as the chart has room.

    >>> spread([50.0, 52.0, 189.0])
    [50.0, 63.0, 189.0]
    """
    gap = min(LABEL_GAP, (BOTTOM - TOP) / max(len(wanted) - 1, 1))
    order = sorted(range(len(wanted)), key=lambda place: wanted[place])
    placed, above = [0.0] * len(wanted), -math.inf
    for place in order:
        placed[place] = above = max(wanted[place], above + gap)
    below = float(BOTTOM)
    for place in reversed(order):
        placed[place] = round(min(placed[place], below), 1)
        below = placed[place] - gap
    return placed


def tick(value: float) -> str:
    """Return a number below an axis.

    >>> tick(0.25), tick(1.0), tick(0.0), tick(100_000.0)
    ('.25', '1', '0', '100,000')
    """
    text = f"{value:.3g}" if value < 1000 else f"{value:,.0f}"
    return text.replace("0.", ".", 1) if text.startswith("0.") else text


def _across(first: float, last: float, logarithmic: bool) -> Callable[[float], float]:
    scale = math.log10 if logarithmic else float
    low, span = scale(first), (scale(last) - scale(first)) or 1.0
    return lambda value: LEFT + (RIGHT - LEFT) * (scale(value) - low) / span


def _ticks(first: float, last: float, logarithmic: bool) -> list[float]:
    if logarithmic:
        return [10.0**power for power in range(math.ceil(math.log10(first)), math.floor(math.log10(last)) + 1)]
    return [first, (first + last) / 2, last]


def _down(value: float) -> float:
    return round(BOTTOM - (BOTTOM - TOP) * min(max(value, 0.0), 1.0), 1)


def _line(line: Points, across: Callable[[float], float], end: float, label: float) -> Line:
    columns = [round(across(value), 1) for value in line.x]
    path = _joined(columns, line.y)
    known = len(line.low) > 0 and bool(np.isfinite(line.low).all())
    band = f"{_joined(columns, line.high)}L{_joined(columns[::-1], line.low[::-1])[1:]}Z" if known else ""
    return Line(line.recipe, line.name, line.style, line.published, path, band, end, label)


def _joined(columns: Sequence[float], heights: Sequence[float]) -> str:
    return "M" + "L".join(f"{x:g},{_down(y):g}" for x, y in zip(columns, heights, strict=True))


def query_charts(queries: pd.DataFrame, styles: Mapping[str, LineStyle], access: Mapping[str, str]) -> list[Panel]:
    """Return the charts of a setting; ``queries`` has its lines, ``access`` the threat models by attack."""
    charts = []
    for attack, sees in access.items():
        lines = queries[queries["attack"] == attack]
        if lines.empty:
            continue
        lines = at_middle_strength(lines)
        drawn = [_points(row, styles[row["recipe"]]) for _, row in lines.iterrows() if row["recipe"] in styles]
        drawn = [line for line in drawn if line.x]
        if drawn:
            kind, strength = lines.iloc[0][["strength_kind", "strength"]]
            caption = f"Success is an adversarial within {kind} {strength:.3g}."
            charts.append(
                panel(attack, sees, "queries", drawn, measure="Success rate", logarithmic=True, caption=caption)
            )
    return charts


def _points(row: "pd.Series[float]", style: LineStyle) -> Points:
    rates = [(float(count), row[f"success_at_{count}"]) for count in CHECKPOINTS]
    known = [(count, rate) for count, rate in rates if not np.isnan(rate)]
    recipe = str(row["recipe"])
    return Points(recipe, recipe, style, False, [count for count, _ in known], [rate for _, rate in known], [], [])

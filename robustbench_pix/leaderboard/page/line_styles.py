"""How a recipe's line looks, the same wherever it is drawn: told apart by colour, by dashes and by its name."""

from typing import NamedTuple

import pandas as pd

from robustbench_pix.results.statistics.aggregation import BASELINE

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

    Of more than seven recipes, ``unregularized`` and the claims with the best mean scores are drawn at first.
    """
    rows = leaderboard[leaderboard["clean_accuracy"].notna()]
    controls = set(rows.loc[rows["controls"] != "", "recipe"])
    others = sorted(set(rows["recipe"]) - {BASELINE}, key=lambda name: (name in controls, name))
    scores = rows.groupby("recipe")["score"].mean().reindex(others).fillna(-1.0)
    preferred = sorted(others, key=lambda name: (name in controls, -scores[name], name))
    drawn = {BASELINE, *preferred[: AT_FIRST - 1]}
    styles = {BASELINE: LineStyle(0, "solid", True)} if BASELINE in set(rows["recipe"]) else {}
    for place, name in enumerate(others):
        further = place >= COLOURS
        dashes = "control" if name in controls else "further" if further else "solid"
        styles[name] = LineStyle(1 + place % COLOURS, dashes, name in drawn)
    return styles

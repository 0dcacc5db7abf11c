"""The curves of a block: accuracy against strength, mean over the seeds of a row, and their plots side by side."""

import numpy as np
import pandas as pd
from rich.text import Text

from robustbench_pix.leaderboard.terminal.plot import COLOURS, LETTERS, plot
from robustbench_pix.results.statistics.aggregation import BASELINE

LEAST_WIDTH, MOST_WIDTH, GAP = 32, 46, 3
"""Characters of a plot, and between two."""

POINTS = 201

Curves = dict[tuple[str, str], "pd.Series[float]"]


def mean_curves(rows: pd.DataFrame, measured: pd.DataFrame) -> Curves:
    """Return the accuracy by strength for each (recipe, attack): over the seeds that the row names, else over all."""
    lists = dict(zip(rows["recipe"], rows["seed_list"], strict=True))
    entered = {recipe: [int(seed) for seed in text.split(",") if seed] for recipe, text in lists.items()}
    found: Curves = {}
    for recipe, part in measured.groupby("recipe", sort=False):
        seeds = entered.get(recipe)
        chosen = part[part["seed"].isin(seeds)] if seeds else part
        means = chosen.groupby(["attack", "strength"])["accuracy"].mean()
        for attack, curve in means.groupby(level="attack"):
            found[str(recipe), str(attack)] = curve.droplevel("attack")
    return found


def evenly(curve: "pd.Series[float]", points: int) -> list[float]:
    """Return a curve at evenly spaced strengths from 0 to the strongest."""
    return list(np.interp(np.linspace(0, curve.index[-1], points), curve.index, curve))


def drawn_recipes(curves: Curves, recipes: list[str]) -> list[str]:
    """Return whose curves are drawn: those of unregularized, and of the first others in the order of the table."""
    measured = {recipe for recipe, _ in curves}
    others = [recipe for recipe in recipes if recipe in measured - {BASELINE}]
    return [*sorted({BASELINE} & measured), *others[: len(LETTERS) - 1]]


def plots(curves: Curves, recipes: list[str], attacks: list[str], ends: dict[str, str], width: int) -> list[Text]:
    """Return the plots of all attacks below their key; nothing where there is no room or no curve.

    Args:
        curves: As ``mean_curves`` returns them.
        recipes: Those to draw, at most five.
        attacks: Those to draw.
        ends: What stands at the right end of the axis of each attack.
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

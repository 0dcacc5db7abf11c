"""The charts of success against queries: one a decision or score attack, at the middle one of its strengths."""

from collections.abc import Mapping

import numpy as np
import pandas as pd

from robustbench_pix.attacks.checkpoints import CHECKPOINTS
from robustbench_pix.leaderboard.page.line_styles import LineStyle
from robustbench_pix.leaderboard.page.panel import Panel, Points, panel


def query_charts(queries: pd.DataFrame, styles: Mapping[str, LineStyle], access: Mapping[str, str]) -> list[Panel]:
    """Return the charts of a block; ``queries`` has its lines, ``access`` the attacks and what they see."""
    charts = []
    for attack, sees in access.items():
        lines = queries[queries["attack"] == attack]
        if lines.empty:
            continue
        strengths = sorted(lines["strength"].unique())
        strength = strengths[(len(strengths) - 1) // 2]
        lines = lines[lines["strength"] == strength]
        drawn = [_points(row, styles[row["recipe"]]) for _, row in lines.iterrows() if row["recipe"] in styles]
        drawn = [line for line in drawn if line.x]
        if drawn:
            kind = lines.iloc[0]["strength_kind"]
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

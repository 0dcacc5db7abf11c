"""One figure an attack: accuracy against strength, a panel a combination, published curves dashed behind ours."""

from collections.abc import Iterator
from typing import Any

import pandas as pd

from robustbench_pix.leaderboard.paper.figure_style import PUBLISHED, Line, strength_name
from robustbench_pix.leaderboard.paper.panels import Panel, empty_figure, legend, name_axes
from robustbench_pix.results.published_curves import sources_of


def curve_figure(attack: str, panels: list[Panel], lines: dict[str, Line]) -> Any:
    """Return the figure of an attack with strengths.

    Args:
        attack: Its name.
        panels: ``ours`` as ``strength_curves`` and ``published`` as ``published_for`` return them.
        lines: How each recipe is drawn.
    """
    figure, places = empty_figure(panels)
    for place, panel in zip(places, panels, strict=True):
        for recipe, rows in panel.published.groupby("recipe", sort=False):
            look = lines[str(recipe)]._replace(linestyle=PUBLISHED)._asdict()
            label = f"{recipe}, {rows['source'].iloc[0]}"
            place.plot(rows["strength"], rows["accuracy"], **look, label=label, markerfacecolor="white", zorder=2)
        for recipe, line in lines.items():
            rows = panel.ours[panel.ours["recipe"] == recipe].sort_values("strength")
            if not rows.empty:
                place.plot(rows["strength"], rows["accuracy"], **line._asdict(), label=recipe, zorder=3)
                low, high = (rows["accuracy"] + sign * rows["standard_error"] for sign in (-1, 1))
                place.fill_between(rows["strength"], low, high, color=line.color, alpha=0.2, linewidth=0)
        place.set_ylim(0, 1.03)
    name_axes(places, strength_name(attack, panels[0].ours["strength_kind"].iloc[0]), "accuracy")
    legend(figure, _handles(panels, lines))
    return figure


def _handles(panels: list[Panel], lines: dict[str, Line]) -> Iterator[Any]:
    """Yield what the legend explains: recipes, the bands where there are any, and where dashed curves come from."""
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    ours = pd.concat([panel.ours for panel in panels])
    for recipe, line in lines.items():
        if recipe in set(ours["recipe"]):
            yield Line2D([], [], **line._asdict(), label=recipe)
    if ours["standard_error"].notna().any():
        yield Patch(color="#888888", alpha=0.35, linewidth=0, label="standard error")
    if sources := sources_of(pd.concat([panel.published for panel in panels])):
        yield Line2D([], [], color="#555555", linestyle=PUBLISHED, label=sources)

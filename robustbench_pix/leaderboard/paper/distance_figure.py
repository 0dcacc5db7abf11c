"""One figure an attack that reports a distance only: a point a recipe, a panel a combination, hollow as published."""

from typing import Any

from robustbench_pix.leaderboard.paper.figure_style import Line
from robustbench_pix.leaderboard.paper.panels import Panel, empty_figure, first_of_rows, legend, name_axes
from robustbench_pix.results.published_curves import PAPER, published_distances


def distance_figure(attack: str, panels: list[Panel], lines: dict[str, Line]) -> Any:
    """Return the figure of distances, the bars being standard errors.

    Args:
        attack: Its name.
        panels: ``ours`` as ``distances`` returns them.
        lines: How each recipe is drawn.
    """
    from matplotlib.lines import Line2D

    figure, places = empty_figure(panels)
    there = {recipe for panel in panels for recipe in panel.ours["recipe"]}
    recipes = [recipe for recipe in lines if recipe in there][::-1]
    gray: dict[str, Any] = {"color": "#555555", "marker": "o", "linestyle": "none"}
    handles = {"ours": Line2D([], [], **gray, label="ours, bars: standard error")}
    for place, panel in zip(places, panels, strict=True):
        known = published_distances(panel.block, attack)
        for row in panel.ours.to_dict("records"):
            recipe = row["recipe"]
            height, look = recipes.index(recipe), lines[recipe]._replace(linestyle="none")._asdict()
            place.errorbar(row["distance"], height, xerr=row["standard_error"], **look, capsize=2, label=recipe)
            if recipe in known:
                label = f"{recipe}, {PAPER}"
                place.plot(known[recipe], height, **look, markerfacecolor="white", label=label)
                handles["published"] = Line2D([], [], **gray, markerfacecolor="white", label=PAPER)
        first = place in first_of_rows(places)
        place.set_yticks(range(len(recipes)), recipes if first else [""] * len(recipes))
        place.set_ylim(-0.6, len(recipes) - 0.4)
        place.set_xlim(left=0)
        place.xaxis.set_major_formatter(lambda distance, _: f"{1000 * distance:g}")
    name_axes(places, r"median $\ell_2^2$ distance a pixel, $10^{-3}$", "")
    legend(figure, handles.values())
    return figure

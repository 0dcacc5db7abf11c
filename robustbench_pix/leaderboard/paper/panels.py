"""The panels of a figure: accuracy against perturbation size, or distances, beside the published ones."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import pandas as pd

from robustbench_pix.errors import UserError
from robustbench_pix.leaderboard.captions import setting_name, strength_name
from robustbench_pix.results.published_curves import PAPER, published_distances, sources_of
from robustbench_pix.results.statistics.measured import BASELINE
from robustbench_pix.runs.request import EXTERNAL_SEED

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
"""Those of Okabe and Ito 2008; black is the baseline's, and yellow is too pale for a line."""

MARKERS = ("s", "^", "D", "v", "P", "X", "*")
CLAIM, CONTROL, PUBLISHED = "-", "-.", "--"

SETTINGS = {
    "font.family": "DejaVu Sans",  # comes with matplotlib, so that every machine draws the same letters
    "font.size": 7,
    "axes.titlesize": 7.5,
    "axes.labelsize": 7.5,
    "axes.linewidth": 0.6,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.color": "#dddddd",
    "grid.linewidth": 0.4,
    "lines.linewidth": 1.0,
    "lines.markersize": 3,
    "xtick.major.width": 0.6,
    "ytick.major.width": 0.6,
    "legend.frameon": False,
    "legend.handlelength": 2.6,
    "pdf.fonttype": 42,  # letters as TrueType: journals refuse the Type 3 that is the default
    "svg.hashsalt": "robustbench_pix",
    "savefig.dpi": 300,
}

COLUMN_INCHES, PAGE_INCHES = 3.25, 6.75
"""The width of a column, and of both, in a paper of two columns."""

ROW_INCHES, ABOVE_INCHES, LEGEND_LINE_INCHES = 1.95, 0.25, 0.14
"""The height of a row of panels, of the space above them, and of a line of the legend."""

LETTER_INCHES, HANDLE_INCHES = 0.058, 0.55
"""About how wide a letter of the legend is, and the line drawn before its text."""


class Line(NamedTuple):
    """How a recipe is drawn."""

    color: str
    marker: str
    linestyle: str


@contextmanager
def settings() -> Iterator[None]:
    """Draw and save with our settings, whatever the user's own are.

    Raises:
        UserError: matplotlib is not installed.
    """
    try:
        import matplotlib
    except ModuleNotFoundError as error:
        raise UserError("Figures need matplotlib: pip install 'robustbench-pix[figures]'.") from error
    with matplotlib.rc_context():
        matplotlib.rcdefaults()
        matplotlib.rcParams.update(SETTINGS)
        yield


def lines(controls: dict[str, str]) -> dict[str, Line]:
    """Return how each recipe is drawn: the baseline black, then claims, then controls with dashes and dots, by name.

    Args:
        controls: For each recipe the one that it controls, or "".
    """
    others = sorted(
        (recipe for recipe in controls if recipe != BASELINE), key=lambda name: (bool(controls[name]), name)
    )
    return {BASELINE: Line("#000000", "o", CLAIM)} | {
        recipe: Line(
            COLOURS[place % len(COLOURS)], MARKERS[place % len(MARKERS)], CONTROL if controls[recipe] else CLAIM
        )
        for place, recipe in enumerate(others)
    }


def seeds_name(rows: pd.DataFrame) -> str:
    """Return how many seeds stand behind rows of ``recipe`` and ``seed``; external models have none.

    >>> seeds_name(pd.DataFrame({"recipe": ["a", "a", "b"], "seed": [0, 1, 0]}))
    '1 to 2 seeds'
    """
    counts = rows[rows["seed"] != EXTERNAL_SEED].groupby("recipe")["seed"].nunique()
    if counts.empty:
        return "no seed"
    least, most = int(counts.min()), int(counts.max())
    return f"{'' if least == most else f'{least} to '}{most} seed{'s' * (most > 1)}"


class Panel(NamedTuple):
    """The panel of a combination: its setting, the text below its name, our rows and the published ones."""

    setting: pd.Series
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
        name, network = setting_name(panel.setting)
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


def curve_figure(attack: str, panels: list[Panel], lines: dict[str, Line]) -> Any:
    """Return the figure of an attack with perturbation sizes.

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
    """Yield the entries of the legend: recipes, the bands where there are any, and where dashed curves come from."""
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
        known = published_distances(panel.setting, attack)
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

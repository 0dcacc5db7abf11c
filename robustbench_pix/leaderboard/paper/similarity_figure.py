"""Figure 1, one a combination: S^CNN and neural targets against S^pixel, their correlations, and all as matrices."""

import textwrap
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from robustbench_pix.leaderboard import latex
from robustbench_pix.leaderboard.captions import setting_name
from robustbench_pix.leaderboard.display import ABSENT, share
from robustbench_pix.leaderboard.paper.figures import lines_of, pictures_of, write_files
from robustbench_pix.leaderboard.paper.panels import LETTER_INCHES, PAGE_INCHES, PUBLISHED, Line, settings
from robustbench_pix.results.published.csv_io import to_csv_text
from robustbench_pix.results.published_curves import PAPER, SIMILARITY_CORRELATION
from robustbench_pix.results.representations import (
    COMBINATION,
    CORRELATIONS,
    Matrix,
    Similarities,
    by_clusters,
    correlations,
    pairs,
)
from robustbench_pix.results.statistics.intervals import student_interval
from robustbench_pix.results.statistics.measured import BASELINE

FIRST = (BASELINE, "pixel", "thresholded")
DRAWN = 3
"""So many recipes' networks are drawn, these first; the correlations of all recipes stand beside them."""

PIXEL, NETWORK, TARGET = (rf"$S^\mathrm{{{name}}}$" for name in ("pixel", "CNN", "target"))

LARGEST_SIDE_INCHES = 1.2
ABOVE_INCHES, BETWEEN_INCHES, BELOW_INCHES = 0.5, 0.68, 0.3
AXIS_INCHES, GAP_INCHES, BAR_INCHES = 0.45, 0.15, 0.45
"""Between panels: where an axis is named, where none is, and for the bar of colours on the right."""

LEGEND_INCHES = 4.7
NAME_WIDTH = 14
COLOURS = "RdBu_r"
"""Of similarities: from blue, -1, through white to red, 1."""

GRAY = "#555555"


class Column(NamedTuple):
    """A similarity that is drawn: its name, its symbol, itself, the text on its correlations, and its colour."""

    name: str
    symbol: str
    similarity: Matrix
    told: str
    color: str


def similarity_figure(found: Similarities, lines: dict[str, Line]) -> Any:
    """Return the figure of a combination.

    Above: the correlations with S^pixel of every recipe, then a scatter plot a similarity, of each recipe's first seed.
    Below: the matrices of S^pixel and of the same similarities, the images in an order that shows clusters of S^pixel.

    Args:
        found: the similarities.
        lines: how each recipe is drawn.
    """
    measured = correlations([found])
    columns = _columns(found, measured, lines)
    rows = _rows(measured, lines)
    figure, above, below, bar = _places(len(columns), longest=max(len(name) for name, _, _ in rows))
    handles = _correlations(above[0], measured, rows, lines)
    for place, column in zip(above[1:], columns, strict=True):
        _scatter(place, found.pixel, column)
        place.set_yticklabels(["−1", "0", "1"] if place is above[1] else [])
    above[1].set_ylabel("similarity" if found.targets else NETWORK, labelpad=-2)
    order = np.ix_(*[by_clusters(found.pixel)] * 2)
    matrices = [(PIXEL, found.pixel), *((column.symbol, column.similarity) for column in columns)]
    for place, (symbol, similarity) in zip(below, matrices, strict=True):
        image = place.imshow(similarity[order], cmap=COLOURS, vmin=-1, vmax=1, interpolation="nearest")
        place.set(xticks=[], yticks=[], title=symbol)
        place.spines[:].set_visible(False)
    figure.colorbar(image, cax=bar, ticks=[-1, 0, 1])
    name, network = setting_name(found.setting)
    figure.suptitle(f"{name}; {network}, {len(found.pixel)} images", y=0.985, va="top", fontsize="medium")
    figure.legend(handles=handles, loc="lower center", ncols=len(handles), columnspacing=1.2, borderaxespad=0.2)
    return figure


def _columns(found: Similarities, measured: pd.DataFrame, lines: dict[str, Line]) -> list[Column]:
    """Return the similarities to draw: neural targets, as in the paper, then the networks of some recipes."""
    columns = []
    for recipe, similarity in found.targets.items():
        (value,) = _values(measured, recipe, "S^target")
        columns.append(Column(f"{recipe} target", TARGET, similarity, f"$r$ = {_number(value)}", lines[recipe].color))
    recipes = sorted((recipe for recipe in lines if recipe in found.networks), key=lambda recipe: recipe not in FIRST)
    for recipe in recipes[:DRAWN]:
        seeds, values = found.networks[recipe], _values(measured, recipe, "S^CNN")
        low, high = student_interval(values)
        told = f"$r$ = {_number(values[0])}"
        told += (
            f"\n{len(seeds)} seeds:\n{_number(values.mean())} ± {_number((high - low) / 2)}" if len(seeds) > 1 else ""
        )
        columns.append(Column(recipe, NETWORK, next(iter(seeds.values())), told, lines[recipe].color))
    return columns


def _rows(measured: pd.DataFrame, lines: dict[str, Line]) -> list[tuple[str, str, str]]:
    """Return the rows of correlations, from below: name, recipe, and kind of similarity."""
    found = measured[["recipe", "similarity"]].drop_duplicates().itertuples(index=False, name=None)
    ordered = sorted(found, key=lambda row: (row[1] == "S^CNN", list(lines).index(row[0])), reverse=True)
    return [(recipe if kind == "S^CNN" else f"{recipe} target", recipe, kind) for recipe, kind in ordered]


def _places(columns: int, longest: int) -> tuple[Any, list[Any], list[Any], Any]:
    """Return a figure of two rows of square places, one more than columns in each, and a place for the colours' bar."""
    from matplotlib.figure import Figure

    names = 0.15 + LETTER_INCHES * longest
    around = names + AXIS_INCHES + GAP_INCHES * (columns - 1) + BAR_INCHES
    side = min(LARGEST_SIDE_INCHES, (PAGE_INCHES - around) / (columns + 1))
    wide, high = (
        max(around + side * (columns + 1), LEGEND_INCHES),
        2 * side + ABOVE_INCHES + BETWEEN_INCHES + BELOW_INCHES,
    )
    figure = Figure(figsize=(wide, high))

    def place(left: float, bottom: float, width: float) -> Any:
        return figure.add_axes((left / wide, bottom / high, width / wide, side / high))

    lefts = [names, *(names + AXIS_INCHES + side + (side + GAP_INCHES) * column for column in range(columns))]
    above = [place(left, BELOW_INCHES + side + BETWEEN_INCHES, side) for left in lefts]
    below = [place(left, BELOW_INCHES, side) for left in lefts]
    return figure, above, below, place(lefts[-1] + side + 0.08, BELOW_INCHES, 0.08)


def _correlations(
    place: Any, measured: pd.DataFrame, rows: list[tuple[str, str, str]], lines: dict[str, Line]
) -> list[Any]:
    """Draw the correlations of every seed with their mean and interval, and the published one; return the legend."""
    told = f"$r$ = {f'{SIMILARITY_CORRELATION:.2f}'.removeprefix('0')}, {PAPER}, Fig. 1"
    published = place.axvline(SIMILARITY_CORRELATION, color=GRAY, linestyle=PUBLISHED, label=told)
    for height, (_, recipe, kind) in enumerate(rows):
        values, look = _values(measured, recipe, kind), lines[recipe]._replace(linestyle="none")._asdict()
        half = [[(end - start) / 2] for start, end in [student_interval(values)]] if len(values) > 1 else None
        place.plot(values, [height + 0.3] * len(values), ".", color=look["color"], markersize=2)
        place.errorbar(values.mean(), height, xerr=half, **look, capsize=2, label=recipe)
    place.set_yticks(range(len(rows)), [name for name, _, _ in rows])
    place.set_ylim(-0.6, len(rows) - 0.4)
    lowest = np.nanmin([SIMILARITY_CORRELATION, *measured["correlation"]])
    place.set_xlim(np.floor(4 * lowest - 0.2) / 4, 1)
    place.set_xlabel(f"correlation $r$ with {PIXEL}")
    (dot,) = place.plot([], [], ".", color=GRAY, markersize=2, label="a seed")
    (mean,) = place.plot([], [], "o", color=GRAY, label="mean, bars: 95% interval")
    return [dot, mean, published]


def _scatter(place: Any, pixel: Matrix, column: Column) -> None:
    """Draw one similarity of every pair of images against that of their pixels, and the least-squares line."""
    from matplotlib.patheffects import withStroke

    x, y = pairs(pixel), pairs(column.similarity)
    place.plot(x, y, ".", color=column.color, markersize=1.2, markeredgewidth=0, alpha=0.5, rasterized=True)
    ends = np.array([x.min(), x.max()])
    halo = [withStroke(linewidth=2, foreground="white")]
    place.plot(ends, np.polyval(np.polyfit(x, y, 1), ends), color="#000000", linewidth=0.8, path_effects=halo)
    place.text(0.98, 0.03, column.told, transform=place.transAxes, ha="right", va="bottom", multialignment="right")
    place.set(xlim=(-1, 1), ylim=(-1, 1), xticks=[-1, 0, 1], yticks=[-1, 0, 1], xlabel=PIXEL)
    place.set_title(textwrap.fill(column.name, NAME_WIDTH))


def _values(measured: pd.DataFrame, recipe: str, kind: str) -> Any:
    """Return the correlations of a recipe's networks, or of its target, by seed."""
    return measured.loc[(measured["recipe"] == recipe) & (measured["similarity"] == kind), "correlation"].to_numpy(
        float
    )


def _number(value: float) -> str:
    return ABSENT if np.isnan(value) else share(value)


NAME = "figure-1-similarity"


def write_similarities(
    found: list[Similarities], leaderboard: pd.DataFrame, measurements: pd.DataFrame, folder: Path
) -> list[Path]:
    """Write Figure 1 of each combination, figures.tex that shows them, and similarity.csv; return the files.

    They depend on no suite, and lie above the suites' folders.

    Args:
        found: the similarities; where there are none nothing is written.
        leaderboard, measurements: the board, which says how recipes are drawn.
        folder: where to; files of the same name are replaced.

    Raises:
        UserError: matplotlib is not installed, or the folder cannot be written to.
    """
    if not found:
        return []
    contents: dict[str, bytes] = {}
    figures = []
    with settings():
        for one in found:
            kind, _, name = latex.label(NAME, *one.setting[COMBINATION]).partition(":")
            file = f"{kind}-{name}"
            pictures = pictures_of(similarity_figure(one, lines_of(leaderboard, measurements)))
            contents |= {f"{file}.{kind}": picture for kind, picture in pictures.items()}
            figures.append(latex.figure(_caption(one), f"fig:{file}", f"{file}.pdf", both_columns=True))
    contents["figures.tex"] = "\n".join(figures).encode()
    contents["similarity.csv"] = to_csv_text(correlations(found), CORRELATIONS).encode()
    return write_files(contents, folder)


def _caption(found: Similarities) -> str:
    """Return the caption of the figure of a combination, as LaTeX."""
    name, network = (latex.escaped(text) for text in setting_name(found.setting))
    images, published = len(found.pixel), f"{SIMILARITY_CORRELATION:.2f}".removeprefix("0")
    targets = f" {TARGET}: that of the neural responses which a recipe pulls towards." if found.targets else ""
    return (
        f"{name} ({network}): the similarity of images in trained networks, {NETWORK}, against that of their pixels, "
        f"{PIXEL}, for all {len(pairs(found.pixel)):,} pairs of {images} images of the regularization data. "
        f"{NETWORK}: cosine similarity of the feature maps in eval mode, centred over these images channel by channel, "
        "weighted over layers as the recipe has learned to; where it has learned no weights, as without a regularizer, "
        f"all layers count the same.{targets} Scatter plots, with least-squares lines, and matrices: first seed; "
        f"images in the order of a hierarchical clustering of {PIXEL}. $r$: Pearson's, mean and 95\\% interval "
        f"(Student's $t$) over seeds. Dashed: $r = {published}$ of {latex.escaped(PAPER)}, Fig.~1, whose similarities "
        "are not those of a trained classifier but those that a model of neurons predicts (Li et al. 2019)."
    )

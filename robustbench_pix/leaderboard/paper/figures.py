"""The figures and tables of a board as files for a paper: SVG, PDF, PNG and LaTeX; the same board, the same bytes."""

import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd

from robustbench_pix.leaderboard import latex
from robustbench_pix.leaderboard.paper import tex_files
from robustbench_pix.leaderboard.paper.panels import (
    Line,
    Panel,
    curve_figure,
    distance_figure,
    grid,
    lines,
    seeds_name,
    settings,
)
from robustbench_pix.results.columns import SETTING
from robustbench_pix.results.published.writing import write_whole
from robustbench_pix.results.published_curves import compared, published_for, read_curves, sources_of
from robustbench_pix.results.statistics.aucs import distances, strength_curves

PAPER_FIGURES = {"gaussian": "figure-2", "transfer-fgsm": "figure-3"}
"""The paper's own figures of an attack; those of other attacks are named after the attack."""

FORMATS = {
    "svg": {"Date": None},
    "pdf": {"CreationDate": None},
    "png": {},
}
"""Kinds of file, and which of their facts to leave out: those that tell the time."""


class Shown(NamedTuple):
    """A figure: its suite and attack, the unit of its perturbation sizes, its measurements, and its panels."""

    suite: str
    attack: str
    kind: str
    measured: pd.DataFrame
    panels: list[Panel]


def write_figures(leaderboard: pd.DataFrame, measurements: pd.DataFrame, folder: Path) -> list[Path]:
    """Write a figure an attack and the LaTeX that shows them, each suite in a folder of its own; return the files.

    Args:
        leaderboard: As ``build_leaderboard`` returns it.
        measurements: The measurements behind it.
        folder: The folder; files of the same name are replaced.

    Raises:
        UserError: matplotlib is not installed, or the folder cannot be written to.
    """
    contents: dict[str, bytes] = {}
    drawn_as = lines_of(leaderboard, measurements)
    with settings():
        for suite, rows in leaderboard.groupby("suite", sort=False):
            measured = measurements[measurements["suite"] == suite]
            contents |= _figures(rows, measured, str(suite), drawn_as)
    return write_files(contents, folder)


def lines_of(leaderboard: pd.DataFrame, measurements: pd.DataFrame) -> dict[str, Line]:
    """Return the line of each measured recipe, in the order of the legend."""
    drawn = leaderboard[leaderboard["recipe"].isin(measurements["recipe"])]
    return lines(dict(zip(drawn["recipe"], drawn["controls"], strict=True)))


def write_files(contents: dict[str, bytes], folder: Path) -> list[Path]:
    """Write files by their names in a folder, and return them.

    Raises:
        UserError: The folder cannot be written to.
    """
    return [write_whole(folder / name, content) for name, content in contents.items()]


def not_drawn(measurements: pd.DataFrame) -> list[str]:
    """Return a sentence for each of the paper's Figures 2 and 3, or part of one, for which nothing was measured."""
    published = read_curves()
    said = []
    there = set(measurements[["task", "regularization_data", "attack"]].itertuples(index=False, name=None))
    for attack, name in PAPER_FIGURES.items():
        rows = published[published["attack"] == attack]
        wanted = dict.fromkeys(rows[["task", "regularization_data", "attack"]].itertuples(index=False, name=None))
        absent = [f"{task}:{images}" for task, images, _ in wanted if (task, images, attack) not in there]
        if absent:
            number = name.removeprefix("figure-")
            said.append(f"Of Figure {number} nothing was measured ({attack}) for {', '.join(absent)}.")
    return said


def shown(leaderboard: pd.DataFrame, measurements: pd.DataFrame, suite: str) -> Iterator[Shown]:
    """Yield the figures of a suite: one an attack, a panel a setting of its leaderboard."""
    curves, alone, published = strength_curves(measurements, leaderboard), distances(measurements), read_curves()
    for attack, measured in measurements.groupby("attack", sort=False):
        with_strengths = measured["strength"].notna().any()
        source = curves if with_strengths else alone
        of_settings = dict(iter(source[source["attack"] == attack].groupby(SETTING, sort=False)))
        panels = []
        for values in leaderboard[SETTING].drop_duplicates().itertuples(index=False, name=None):
            ours = of_settings.get(values)
            if ours is not None:
                setting = pd.Series(dict(zip(SETTING, values, strict=True)))
                behind = published_for(published, setting, str(attack))
                behind = behind[behind["recipe"].isin(ours["recipe"])]
                within = measured[(measured[SETTING] == setting).all(axis="columns")]
                panels.append(Panel(setting, seeds_name(within), ours, behind))
        yield Shown(suite, str(attack), measured["strength_kind"].iloc[0] if with_strengths else "", measured, panels)


def _figures(
    leaderboard: pd.DataFrame, measurements: pd.DataFrame, suite: str, drawn_as: dict[str, Line]
) -> dict[str, bytes]:
    """Return the pictures of a suite, the LaTeX that shows them, and the comparison with the published numbers."""
    contents: dict[str, bytes] = {}
    figures, comparisons = [], []
    for one in shown(leaderboard, measurements, suite):
        name = "-".join(filter(None, [PAPER_FIGURES.get(one.attack), one.attack]))
        draw = curve_figure if one.kind else distance_figure
        pictures = pictures_of(draw(one.attack, one.panels, drawn_as))
        contents |= {f"{suite}/{name}.{kind}": picture for kind, picture in pictures.items()}
        sources = sources_of(pd.concat([panel.published for panel in one.panels]))
        caption = tex_files.figure_caption(one.attack, one.kind, one.measured, sources)
        wide = grid(len(one.panels))[1] > 1
        figures.append(latex.figure(caption, latex.label("fig", suite, one.attack), f"{name}.pdf", both_columns=wide))
        for panel in one.panels:
            if not panel.published.empty:
                rows = compared(panel.ours, panel.published)
                comparisons.append(tex_files.published_table(panel.setting, one.attack, one.kind, rows))
    contents[f"{suite}/figures.tex"] = "\n".join(figures).encode()
    if comparisons:
        contents[f"{suite}/comparison.tex"] = "\n".join(comparisons).encode()
    return contents


def pictures_of(figure: Any) -> dict[str, bytes]:
    """Return a figure in every format."""
    pictures = {}
    for kind, metadata in FORMATS.items():
        buffer = io.BytesIO()
        figure.savefig(buffer, format=kind, metadata=metadata)
        pictures[kind] = buffer.getvalue()
    return pictures

"""The leaderboard in a terminal: two lines a recipe, numbers above, intervals and curves below."""

import io
import re
from dataclasses import replace
from typing import Any

import pandas as pd
from rich.console import Console, Group, RenderableType
from rich.text import Text

from robustbench_pix.leaderboard import captions
from robustbench_pix.leaderboard.display import DOUBTS, Cell, ranks, records
from robustbench_pix.leaderboard.display_table import Column, DisplayTable, SettingRows, settings_of
from robustbench_pix.leaderboard.recipe_tables import (
    COLLAPSE_NOTES,
    COST_NOTES,
    ROBUSTNESS_NOTES,
    collapse_table,
    cost_table,
    leaderboard_table,
    robustness_table,
)
from robustbench_pix.leaderboard.terminal import rich_tables
from robustbench_pix.leaderboard.terminal.overview import render_overview
from robustbench_pix.leaderboard.terminal.plots import Curves, drawn_recipes, evenly, mean_curves, plots, sparkline
from robustbench_pix.results.columns import MEASUREMENTS, SETTING, typed
from robustbench_pix.results.derived_columns import DISTANCE_PREFIX, RECIPE_COSTS
from robustbench_pix.results.gradient_masking import doubt
from robustbench_pix.results.inflation import inflation_sentences

CURVES = (10, 8, 7)
"""Characters of a curve below a number: the first that needs the fewest tables."""


def render(
    leaderboard: pd.DataFrame,
    measurements: pd.DataFrame,
    aucs: pd.DataFrame,
    costs: pd.DataFrame,
    *,
    collapses: pd.DataFrame | None = None,
    console_width: int,
) -> Group:
    """Return the leaderboard for ``rich.print``: two tables a setting and its curves, then the meaning of the marks.

    Args:
        leaderboard: As ``build_leaderboard`` returns it.
        measurements: The measurements behind it, for curves and facts.
        aucs: The columns ``AUCS``; of more settings than are shown, if need be.
        costs: The columns ``RECIPE_COSTS``; likewise.
        collapses: The columns ``COLLAPSES``; likewise; no such table without them.
        console_width: Columns of the terminal.
    """
    if leaderboard.empty:
        return Group(Text("The leaderboard is empty."))
    parts: list[RenderableType] = [_title(leaderboard)]
    for setting in settings_of(leaderboard, typed(measurements, MEASUREMENTS)):
        parts += ["", *_setting(setting, aucs, costs, collapses, console_width)]
    notes = [*captions.LEGEND, *ROBUSTNESS_NOTES, *COST_NOTES]
    notes += [] if collapses is None or collapses.empty else COLLAPSE_NOTES
    legend = captions.flowing(dict.fromkeys(notes), console_width)
    return Group(*parts, "", Text(legend, style="dim"))


def _title(leaderboard: pd.DataFrame) -> Text:
    suites = leaderboard[["suite", "suite_version"]].drop_duplicates().itertuples(index=False)
    named = ", ".join(f"{suite.suite} {suite.suite_version}" for suite in suites)
    return Text.assemble(("robustbench_pix", "bold"), (f"  leaderboard of the suite {named}", "dim"))


def _setting(
    setting: SettingRows, aucs: pd.DataFrame, costs: pd.DataFrame, collapses: pd.DataFrame | None, width: int
) -> list[RenderableType]:
    """Return the heading, the tables, the curves and the captions of one setting."""
    rows, measured, first = setting.rows, setting.measured, setting.first
    table = leaderboard_table(setting, aucs)
    curves = mean_curves(rows, measured)
    ends = _ends(measured)
    attacks = [column.attack for column in table.columns if column.attack]
    dropped = rich_tables.shared_word(attacks)
    parts: list[RenderableType] = [Text(f"{first['task']} : {first['regularization_data']}", style="bold")]
    said = [Text(f"{sentence[0].upper()}{sentence[1:]}.") for sentence in captions.verdicts(rows)]
    parts += [*said, ""]
    layouts = (rich_tables.rich_tables(_with_curves(table, rows, curves, wide), width, dropped) for wide in CURVES)
    parts += [part for drawn in min(layouts, key=len) for part in (drawn, "")]
    second = robustness_table(setting, aucs).beside(cost_table(setting, costs))
    if second.lines:
        parts += [part for table in rich_tables.rich_tables(second, width, dropped) for part in (table, "")]
    if collapses is not None and len(setting.of(collapses)):
        parts += [*rich_tables.rich_tables(collapse_table(setting, collapses), width), ""]
    parts += plots(curves, drawn_recipes(curves, list(rows["recipe"])), attacks, ends, width)
    for recipe, status, reason in captions.stopped(rows):
        parts.append(Text.assemble((recipe, "bold"), ": ", (status, "yellow"), f" - {reason}"))
    for recipes, remark in captions.remarks(rows):
        parts.append(Text.assemble((recipes, "bold"), f" - {remark}"))
    parts += [Text(warning, style="yellow") for warning in captions.mixtures(measured)]
    told = [*captions.controls(rows), *captions.never_halved(setting.of(aucs), ends), *inflation_sentences(measured)]
    told += captions.measuring_facts(rows, measured)
    told += [f"headings leave out {dropped}"] if dropped else []
    return [*parts, Text(captions.flowing(told, width), style="dim")]


def _with_curves(table: DisplayTable, rows: pd.DataFrame, curves: Curves, wide: int) -> DisplayTable:
    """Return the leaderboard with the lines of a terminal: letters, doubts about recipes, and curves below AUCs."""
    lines = records(rows)
    possible = [ranks(row, "-") for row in lines]
    groups = [((row["group"], "dim"),) if text else () for text, row in zip(possible, lines, strict=True)]
    ranked = tuple(Cell(text, words=True, below=below) for text, below in zip(possible, groups, strict=True))
    names = tuple(cell._replace(below=_about(row)) for cell, row in zip(table.columns[1].cells, lines, strict=True))
    columns = [Column(("#",), ranked), replace(table.columns[1], cells=names)]
    for column in table.columns[2:]:
        of_attack = [curves.get((row["recipe"], column.attack)) for row in lines]
        if column.name.startswith(DISTANCE_PREFIX):
            of_attack = [None] * len(lines)
        shown = [() if curve is None else ((sparkline(evenly(curve, wide), wide), "dim"),) for curve in of_attack]
        cells = (cell._replace(below=below) for cell, below in zip(column.cells, shown, strict=True))
        columns.append(replace(column, cells=tuple(cells)))
    return replace(table, columns=tuple(columns))


def _about(row: dict[str, Any]) -> tuple[tuple[str, str], ...]:
    """Return the lines below a recipe: its claim and, in yellow, its status and the doubt about its gradients."""
    claim = "control" if row["below"] else f"control of {row['controls']}" if row["controls"] else ""
    status = "" if row["status"] == "complete" else row["status"]
    lines = ((claim, "dim"), (status, "yellow"), (DOUBTS[doubt(row["gradients"])], "yellow"))
    return tuple((text, style) for text, style in lines if text)


def _ends(measured: pd.DataFrame) -> dict[str, str]:
    """Return the unit and the largest perturbation size of each attack."""
    strongest = measured.dropna(subset="strength").groupby("attack")[["strength_kind", "strength"]].max()
    return {
        str(attack): f"{kind} {strength:.3g}"
        for attack, kind, strength in zip(
            strongest.index, strongest["strength_kind"], strongest["strength"], strict=True
        )
    }


FONTS = "ui-monospace, 'DejaVu Sans Mono', Menlo, Consolas, 'Liberation Mono', monospace"


def svg(
    leaderboard: pd.DataFrame,
    measurements: pd.DataFrame,
    aucs: pd.DataFrame,
    width: int = 110,
) -> str:
    """Return the leaderboard as SVG, ``width`` characters wide: the overview, if there is one, then the first setting.

    All settings would make a picture that nobody scrolls through; the page has them. Equal tables give equal text;
    seconds are left out, since they never repeat.
    """
    # Everything that rich would otherwise guess from the environment is said, or the bytes would depend on it.
    console = Console(
        file=io.StringIO(),
        width=width,
        record=True,
        color_system="truecolor",
        no_color=False,
        force_terminal=False,
        force_jupyter=False,
        legacy_windows=False,
    )
    settings = leaderboard[SETTING].drop_duplicates()
    if len(settings) > 1:
        console.print(render_overview(leaderboard, width), "", sep="\n")
    first = leaderboard.merge(settings.head(1), on=SETTING)
    no_costs = typed(pd.DataFrame(), RECIPE_COSTS)
    console.print(render(first, measurements, aucs, no_costs, console_width=width))
    return _local(console.export_svg(title="rbp leaderboard", unique_id="rbp"))


def _local(text: str) -> str:
    """Take the remote fonts and the comment with an address out of rich's SVG, and name fonts that machines have."""
    text = re.sub(r"@font-face\s*\{.*?\}\s*", "", text, flags=re.DOTALL)
    text = re.sub(r"<!--.*?-->\s*", "", text, flags=re.DOTALL)
    return re.sub(r"font-family:\s*Fira Code[^;]*;", f"font-family: {FONTS};", text)

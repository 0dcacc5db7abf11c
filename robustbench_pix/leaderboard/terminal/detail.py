"""The leaderboard in a terminal: two lines a recipe, numbers above, intervals and curves below."""

import io
import re
from typing import NamedTuple

import pandas as pd
from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from robustbench_pix.leaderboard import captions
from robustbench_pix.leaderboard.display import HEADINGS, records
from robustbench_pix.leaderboard.display_table import Column, SettingRows, packed, settings_of
from robustbench_pix.leaderboard.recipe_tables import (
    COST_NOTES,
    ROBUSTNESS_NOTES,
    cost_table,
    leaderboard_table,
    robustness_table,
)
from robustbench_pix.leaderboard.terminal import rich_tables
from robustbench_pix.leaderboard.terminal.overview import render_overview
from robustbench_pix.leaderboard.terminal.plots import Curves, drawn_recipes, evenly, mean_curves, plots, sparkline
from robustbench_pix.results.columns import MEASUREMENTS
from robustbench_pix.results.derived_columns import AUC_PREFIX, RECIPE_COSTS
from robustbench_pix.results.frames import SETTING, typed
from robustbench_pix.results.inflation import inflation_sentences

NUMBER_WIDTHS = {"clean_accuracy": 5, "mean_auc": 5, "gain": 6}
TIGHT_RECIPE = len("unregularized")


class Layout(NamedTuple):
    """How the columns of a setting share the width of the terminal, in characters.

    Attributes:
        curve: of a curve below a number.
        gap: between two columns.
        rank: of the ranks.
        recipe: of the names.
        widths: of the other columns, by name.
        tables: the names of the columns that stand side by side, table by table.
    """

    curve: int
    gap: int
    rank: int
    recipe: int
    widths: dict[str, int]
    tables: list[list[str]]


def render(
    leaderboard: pd.DataFrame,
    measurements: pd.DataFrame,
    aucs: pd.DataFrame,
    costs: pd.DataFrame,
    *,
    console_width: int,
) -> Group:
    """Return the leaderboard for ``rich.print``: two tables a setting and its curves, then what the marks mean.

    Args:
        leaderboard: As ``build_leaderboard`` returns it.
        measurements: What it was built from; the curves and the measuring facts are read off here.
        robustness: The columns ``ROBUSTNESS``; of more settings than are shown, if need be.
        costs: The columns ``RECIPE_COSTS``; likewise.
        console_width: Columns of the terminal.
    """
    if leaderboard.empty:
        return Group(Text("The leaderboard is empty."))
    parts: list[RenderableType] = [_title(leaderboard)]
    for setting in settings_of(leaderboard, typed(measurements, MEASUREMENTS)):
        parts += ["", *_setting(setting, aucs, costs, console_width)]
    legend = captions.flowing(dict.fromkeys([*captions.LEGEND, *ROBUSTNESS_NOTES, *COST_NOTES]), console_width)
    return Group(*parts, "", Text(legend, style="dim"))


def _title(leaderboard: pd.DataFrame) -> Text:
    suites = leaderboard[["suite", "suite_version"]].drop_duplicates().itertuples(index=False)
    named = ", ".join(f"{suite.suite} {suite.suite_version}" for suite in suites)
    return Text.assemble(("robustbench_pix", "bold"), (f"  leaderboard of the suite {named}", "dim"))


def _setting(setting: SettingRows, aucs: pd.DataFrame, costs: pd.DataFrame, width: int) -> list[RenderableType]:
    """Return the heading, the tables, the curves and the captions of one setting."""
    rows, measured, first = setting.rows, setting.measured, setting.first
    columns = {column.name: column for column in leaderboard_table(setting, aucs).columns[2:]}
    attacks = [name for name in columns if name not in HEADINGS]
    curves = mean_curves(rows, measured)
    ends = _ends(measured)
    named = [name.removeprefix(AUC_PREFIX) for name in attacks]
    dropped = rich_tables.shared_word(named)
    layout = _layout(rows, [columns[name] for name in attacks], dropped, width)
    parts: list[RenderableType] = [Text(f"{first['task']} : {first['regularization_data']}", style="bold")]
    said = [Text(f"{sentence[0].upper()}{sentence[1:]}.") for sentence in captions.verdicts(rows)]
    parts += [*said, ""]
    for names in layout.tables:
        parts += [_table(rows, [columns[name] for name in names], curves, layout, dropped), ""]
    second = robustness_table(setting, aucs).beside(cost_table(setting, costs))
    if second.lines:
        parts += [part for table in rich_tables.rich_tables(second, width, dropped) for part in (table, "")]
    parts += plots(curves, drawn_recipes(curves, list(rows["recipe"])), named, ends, width)
    for recipe, status, reason in captions.stopped(rows):
        parts.append(Text.assemble((recipe, "bold"), ": ", (status, "yellow"), f" - {reason}"))
    for recipes, remark in captions.remarks(rows):
        parts.append(Text.assemble((recipes, "bold"), f" - {remark}"))
    parts += [Text(warning, style="yellow") for warning in captions.mixtures(measured)]
    told = [*captions.controls(rows), *captions.never_halved(setting.of(aucs), ends), *inflation_sentences(measured)]
    told += captions.measuring_facts(rows, measured)
    told += [f"headings leave out {dropped}"] if dropped else []
    return [*parts, Text(captions.flowing(told, width), style="dim")]


def _layout(rows: pd.DataFrame, attacks: list[Column], dropped: str, width: int) -> Layout:
    """Return the roomiest layout of those with the fewest tables."""
    names = max(len("recipe"), *(rows["recipe"].str.len() + rich_tables.INDENT * rows["below"]))
    alone = rows[(rows["controls"] != "") & ~rows["below"]]
    long = max(names, *(len(f"control of {of}") for of in alone["controls"])) if len(alone) else names
    tight = min(names, TIGHT_RECIPE)
    rank = max(len(line) for row in records(rows) for line in ["#", *rich_tables.rank(row).plain.split("\n")])
    layouts = []
    for curve, gap, recipe in (
        (10, 3, long),
        (10, 2, long),
        (10, 1, long),
        (10, 1, tight),
        (8, 1, tight),
        (7, 1, tight),
    ):
        widths = dict(NUMBER_WIDTHS)
        widths |= {of.name: max(curve, *map(len, rich_tables.heading(of, dropped))) for of in attacks}
        names_of = list(widths)
        tables = packed([gap + wide for wide in widths.values()], width - rank - 1 - recipe)
        layouts.append(Layout(curve, gap, rank, recipe, widths, [[names_of[it] for it in table] for table in tables]))
    return min(layouts, key=lambda layout: len(layout.tables))


def _table(rows: pd.DataFrame, columns: list[Column], curves: Curves, layout: Layout, dropped: str) -> Table:
    """Return one table: rank, recipe, and some of the numbers and attacks, with curves below those of attacks."""
    # Gaps are part of the right-justified columns: the padding of outer columns differs between versions of rich.
    table = rich_tables.plain_table()
    table.add_column("#", width=layout.rank, justify="right")
    table.add_column("recipe", width=layout.recipe)
    for column in columns:
        head = "\n".join(rich_tables.heading(column, dropped))
        table.add_column(Text(head), width=layout.gap - 1 + layout.widths[column.name], justify="right")
    for place, row in enumerate(records(rows)):
        shown = [
            rich_tables.written(column.cells[place], _curve(row["recipe"], column, curves, layout))
            for column in columns
        ]
        table.add_row(rich_tables.rank(row), rich_tables.recipe(row, layout.recipe), *shown)
    return table


def _curve(recipe: str, column: Column, curves: Curves, layout: Layout) -> str:
    """Return the accuracy at evenly spaced perturbation sizes, mean over the seeds of the row; "" without an attack."""
    curve = curves.get((recipe, column.attack)) if column.name.startswith(AUC_PREFIX) else None
    return "" if curve is None else sparkline(evenly(curve, layout.curve), layout.curve)


def _ends(measured: pd.DataFrame) -> dict[str, str]:
    """Return what a strength means and the largest, for each attack."""
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

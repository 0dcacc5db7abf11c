"""The leaderboard in a terminal: two lines a recipe, numbers above, intervals and curves below."""

from typing import Any, NamedTuple

import pandas as pd
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from robustbench_pix.leaderboard import captions
from robustbench_pix.leaderboard.display import HEADINGS, beside_claims, best, number, records
from robustbench_pix.leaderboard.terminal import cells
from robustbench_pix.leaderboard.terminal.column_layout import packed
from robustbench_pix.leaderboard.terminal.plots import Curves, drawn_recipes, evenly, mean_curves, plots, sparkline
from robustbench_pix.leaderboard.terminal.secondary_tables import secondary_tables
from robustbench_pix.results.columns import MEASUREMENTS, SETTING, typed
from robustbench_pix.results.derived_columns import AUC_PREFIX, DISTANCE_PREFIX
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
    measurements = typed(measurements, MEASUREMENTS)
    tables = measurements, aucs, costs
    of_settings = [dict(iter(table.groupby(SETTING, sort=False))) for table in tables]
    parts: list[RenderableType] = [_title(leaderboard)]
    for setting, rows in leaderboard.groupby(SETTING, sort=False):
        measured, beside, spent = (
            parts_of.get(setting, table.iloc[:0]) for parts_of, table in zip(of_settings, tables, strict=True)
        )
        parts += ["", *_setting(rows, measured, beside, spent, console_width)]
    legend = captions.flowing([*captions.LEGEND, *captions.SECONDARY], console_width)
    return Group(*parts, "", Text(legend, style="dim"))


def _title(leaderboard: pd.DataFrame) -> Text:
    suites = leaderboard[["suite", "suite_version"]].drop_duplicates().itertuples(index=False)
    named = ", ".join(f"{suite.suite} {suite.suite_version}" for suite in suites)
    return Text.assemble(("robustbench_pix", "bold"), (f"  leaderboard of the suite {named}", "dim"))


def _setting(
    rows: pd.DataFrame, measured: pd.DataFrame, aucs: pd.DataFrame, costs: pd.DataFrame, width: int
) -> list[RenderableType]:
    """Return the heading, the tables, the curves and the words of one setting."""
    first = rows.iloc[0]
    of_attacks = [name for name in rows.columns if name.startswith((AUC_PREFIX, DISTANCE_PREFIX))]
    attacks = [name for name in of_attacks if rows[name].notna().any()]
    order = beside_claims(dict(zip(rows["recipe"], rows["controls"], strict=True)))
    rows = (
        rows.set_index("recipe", drop=False).loc[[recipe for recipe, _ in order]].assign(below=[it for _, it in order])
    )
    curves = mean_curves(rows, measured)
    ends = _ends(measured)
    named = [name.removeprefix(AUC_PREFIX) for name in attacks]
    dropped = cells.shared_word(named)
    layout = _layout(rows, attacks, dropped, width)
    parts: list[RenderableType] = [Text(f"{first['task']} : {first['regularization_data']}", style="bold")]
    said = [Text(f"{sentence[0].upper()}{sentence[1:]}.") for sentence in captions.verdicts(rows)]
    parts += [*said, ""]
    for columns in layout.tables:
        parts += [_table(rows, curves, columns, layout, dropped), ""]
    parts += [part for table in secondary_tables(rows, aucs, costs, ends, dropped, width) for part in (table, "")]
    parts += plots(curves, drawn_recipes(curves, list(rows["recipe"])), named, ends, width)
    for recipe, status, reason in captions.stopped(rows):
        parts.append(Text.assemble((recipe, "bold"), ": ", (status, "yellow"), f" - {reason}"))
    for recipes, remark in captions.remarks(rows):
        parts.append(Text.assemble((recipes, "bold"), f" - {remark}"))
    parts += [Text(warning, style="yellow") for warning in captions.mixtures(measured)]
    told = [*captions.controls(rows), *captions.never_halved(aucs, ends), *inflation_sentences(measured)]
    told += captions.measuring_facts(rows, measured)
    told += [f"headings leave out {dropped}"] if dropped else []
    return [*parts, Text(captions.flowing(told, width), style="dim")]


def _layout(rows: pd.DataFrame, attacks: list[str], dropped: str, width: int) -> Layout:
    """Return the roomiest layout of those with the fewest tables."""
    names = max(len("recipe"), *(rows["recipe"].str.len() + cells.INDENT * rows["below"]))
    alone = rows[(rows["controls"] != "") & ~rows["below"]]
    long = max(names, *(len(f"control of {of}") for of in alone["controls"])) if len(alone) else names
    tight = min(names, TIGHT_RECIPE)
    rank = max(len(line) for row in records(rows) for line in ["#", *cells.rank(row).plain.split("\n")])
    layouts = []
    for curve, gap, recipe in (
        (10, 3, long),
        (10, 2, long),
        (10, 1, long),
        (10, 1, tight),
        (8, 1, tight),
        (7, 1, tight),
    ):
        widths = NUMBER_WIDTHS | {name: max(curve, *map(len, cells.heading(name, dropped))) for name in attacks}
        names_of = list(widths)
        tables = packed([gap + wide for wide in widths.values()], width - rank - 1 - recipe)
        layouts.append(Layout(curve, gap, rank, recipe, widths, [[names_of[it] for it in table] for table in tables]))
    return min(layouts, key=lambda layout: len(layout.tables))


def _table(rows: pd.DataFrame, curves: Curves, columns: list[str], layout: Layout, dropped: str) -> Table:
    """Return one table: rank, recipe, and some of the numbers and attacks."""
    # Gaps are part of the right-justified columns: the padding of outer columns differs between versions of rich.
    table = cells.plain_table()
    gap = layout.gap - 1
    table.add_column("#", width=layout.rank, justify="right")
    table.add_column("recipe", width=layout.recipe)
    for name in columns:
        lines = HEADINGS[name].split() if name in HEADINGS else cells.heading(name, dropped)
        table.add_column(Text("\n".join(lines)), width=gap + layout.widths[name], justify="right")
    scored = rows[rows["mean_auc"].notna()]
    tops = {name: best(scored[name]) for name in columns}
    for row in records(rows):
        shown = [cells.written(number(row, name, tops[name]), _curve(row, name, curves, layout)) for name in columns]
        table.add_row(cells.rank(row), cells.recipe(row, layout.recipe), *shown)
    return table


def _curve(row: dict[str, Any], column: str, curves: Curves, layout: Layout) -> str:
    """Return the accuracy at evenly spaced strengths, mean over the seeds of the row; "" where there is no attack."""
    curve = curves.get((row["recipe"], column.removeprefix(AUC_PREFIX)))
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

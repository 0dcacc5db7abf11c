"""The leaderboard in a terminal: two lines a recipe, numbers above, intervals and curves below."""

from typing import Any, NamedTuple

import pandas as pd
from rich.box import SIMPLE_HEAD
from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from robustbench_pix.leaderboard import cells, facts
from robustbench_pix.leaderboard.curves import Curves, drawn_recipes, evenly, mean_curves, plots
from robustbench_pix.leaderboard.order import beside_claims
from robustbench_pix.results.columns import DISTANCE_PREFIX, MEASUREMENTS, ROBUSTNESS_PREFIX
from robustbench_pix.results.frames import BLOCK, typed

RANK_WIDTH = 2
NUMBER_WIDTHS = {"clean_accuracy": 5, "score": 5, "gain": 6}
TIGHT_RECIPE = len("unregularized")


class Layout(NamedTuple):
    """How the columns of a table share the width; ``attacks`` is how many columns of attacks stand side by side."""

    curve: int
    gap: int
    recipe: int
    attacks: int


def render(leaderboard: pd.DataFrame, measurements: pd.DataFrame, *, console_width: int | None = None) -> Group:
    """Return the leaderboard for ``rich.print``: one ranked table a block, then what the marks mean.

    Args:
        leaderboard: As ``build_leaderboard`` returns it.
        measurements: What it was built from; the curves and the measuring facts are read off here.
        console_width: Columns of the terminal; by default those of the terminal at hand, 80 if there is none.
    """
    width = console_width or Console().width
    if leaderboard.empty:
        return Group(Text("The leaderboard is empty."))
    measurements = typed(measurements, MEASUREMENTS)
    measured = dict(iter(measurements.groupby(BLOCK, sort=False)))
    parts: list[RenderableType] = [_title(leaderboard)]
    for block, rows in leaderboard.groupby(BLOCK, sort=False):
        parts += ["", *_block(rows, measured.get(block, measurements.iloc[:0]), width)]
    return Group(*parts, "", Text(facts.flowing(facts.LEGEND, width), style="dim"))


def _title(leaderboard: pd.DataFrame) -> Text:
    suites = leaderboard[["suite", "suite_version"]].drop_duplicates().itertuples(index=False)
    named = ", ".join(f"{suite.suite} {suite.suite_version}" for suite in suites)
    return Text.assemble(("robustbench_pix", "bold"), (f"  leaderboard of the suite {named}", "dim"))


def _block(rows: pd.DataFrame, measured: pd.DataFrame, width: int) -> list[RenderableType]:
    """Return the heading, the table or tables, and the words of one block."""
    first = rows.iloc[0]
    of_attacks = [name for name in rows.columns if name.startswith((ROBUSTNESS_PREFIX, DISTANCE_PREFIX))]
    attacks = [name for name in of_attacks if rows[name].notna().any()]
    order = beside_claims(dict(zip(rows["recipe"], rows["controls"], strict=True)))
    rows = (
        rows.set_index("recipe", drop=False).loc[[recipe for recipe, _ in order]].assign(below=[it for _, it in order])
    )
    curves = mean_curves(rows, measured)
    layout = _layout(rows, len(attacks), width)
    parts: list[RenderableType] = [Text(f"{first['task']} : {first['images']}", style="bold"), ""]
    for start in range(0, max(len(attacks), 1), layout.attacks):
        parts += [_table(rows, curves, attacks[start : start + layout.attacks], layout, numbers=start == 0), ""]
    named = [name.removeprefix(ROBUSTNESS_PREFIX) for name in attacks]
    parts += plots(curves, drawn_recipes(curves, list(rows["recipe"])), named, _ends(measured), width)
    for recipe, status, reason in facts.stopped(rows):
        parts.append(Text.assemble((recipe, "bold"), ": ", (status, "yellow"), f" - {reason}"))
    for recipes, remark in facts.remarks(rows):
        parts.append(Text.assemble((recipes, "bold"), f" - {remark}"))
    parts += [Text(warning, style="yellow") for warning in facts.mixtures(measured)]
    told = facts.flowing([*facts.controls(rows), *facts.measuring_facts(rows, measured)], width)
    return [*parts, Text(told, style="dim")]


def _layout(rows: pd.DataFrame, attacks: int, width: int) -> Layout:
    """Return the roomiest layout in which all attacks stand side by side; else the narrowest, over several tables."""
    names = max(len("recipe"), *(rows["recipe"].str.len() + cells.INDENT * rows["below"]))
    alone = rows[(rows["controls"] != "") & ~rows["below"]]
    long = max(names, *(len(f"control of {of}") for of in alone["controls"])) if len(alone) else names
    tight = min(names, TIGHT_RECIPE)
    fixed = RANK_WIDTH + 1 + sum(NUMBER_WIDTHS.values())
    for curve, gap, recipe in ((10, 3, long), (10, 2, long), (10, 1, long), (10, 1, tight), (8, 1, tight)):
        fitting = (width - fixed - recipe - gap * len(NUMBER_WIDTHS)) // (curve + gap)
        if attacks <= fitting:
            break
    return Layout(curve, gap, recipe, max(fitting, 1))


def _table(rows: pd.DataFrame, curves: Curves, attacks: list[str], layout: Layout, *, numbers: bool) -> Table:
    """Return one table: rank, recipe, the three numbers (in the first table of a block), and some attacks."""
    # Gaps are part of the right-justified columns: the padding of outer columns differs between versions of rich.
    table = Table(box=SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=0, border_style="dim")
    gap = layout.gap - 1
    table.add_column("#", width=RANK_WIDTH, justify="right")
    table.add_column("recipe", width=layout.recipe)
    shown = list(NUMBER_WIDTHS) if numbers else []
    for name in shown:
        table.add_column(name.removesuffix("_accuracy"), width=gap + NUMBER_WIDTHS[name], justify="right")
    for column in attacks:
        table.add_column(Text(cells.heading(column, layout.curve)), width=gap + layout.curve, justify="right")
    scored = rows[rows["score"].notna()]
    best = {name: cells.best(scored[name]) for name in (*shown, *attacks)}
    for line in rows.to_dict("records"):
        row = {str(name): value for name, value in line.items()}
        numbers_of = [cells.number(row, name, best[name]) for name in shown]
        attacked = [cells.attack(row, name, best[name], _accuracies(row, name, curves, layout)) for name in attacks]
        rank = "" if pd.isna(row["rank"]) else str(row["rank"])
        table.add_row(rank, cells.recipe(row, layout.recipe), *numbers_of, *attacked)
    return table


def _accuracies(row: dict[str, Any], column: str, curves: Curves, layout: Layout) -> list[float]:
    """Return the accuracy at evenly spaced strengths, mean over the seeds of the row."""
    curve = curves.get((row["recipe"], column.removeprefix(ROBUSTNESS_PREFIX)))
    return [] if curve is None else evenly(curve, layout.curve)


def _ends(measured: pd.DataFrame) -> dict[str, str]:
    """Return what a strength means and the largest, for each attack."""
    strongest = measured.dropna(subset="strength").groupby("attack")[["strength_kind", "strength"]].max()
    return {
        str(attack): f"{kind} {strength:.3g}"
        for attack, kind, strength in zip(
            strongest.index, strongest["strength_kind"], strongest["strength"], strict=True
        )
    }

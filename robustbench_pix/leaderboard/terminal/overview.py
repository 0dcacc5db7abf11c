"""All combinations of a board at a glance: a row a recipe, a column a combination, the mean AUC in each cell."""

from typing import Any, NamedTuple

import pandas as pd
from rich.console import Group, RenderableType
from rich.text import Text

from robustbench_pix.leaderboard import captions
from robustbench_pix.leaderboard.display import ABSENT, MASKED, beside_claims, leads, records, share
from robustbench_pix.leaderboard.display_table import packed
from robustbench_pix.leaderboard.recipe_tables import aggregate_table
from robustbench_pix.leaderboard.terminal import rich_tables
from robustbench_pix.results.columns import SETTING
from robustbench_pix.results.gradient_masking import doubt
from robustbench_pix.results.statistics.verdicts import BETTER, WORSE
from robustbench_pix.runs.plan_store import combination_name

SHADES = ("#440154", "#482878", "#3e4a89", "#31688e", "#26828e", "#1f9e89", "#35b779", "#6dcd59", "#b4de2c", "#fde725")
"""Viridis (Smith and van der Walt, 2015): its lightness rises evenly, and the colour-blind see it rise."""

DARK_SHADES = 4
"""On so many of them white text has more contrast than black text."""

LEAST_RANGE = 0.2
"""A smaller range of mean AUCs is not spread over all shades, or differences that mean nothing would catch the eye."""


def shade(value: float, low: float, high: float) -> str:
    """Return the style of a number between two others, the ends of one scale for a whole table.

    >>> shade(0.2, 0.2, 0.8), shade(0.8, 0.2, 0.8)
    ('#ffffff on #440154', '#000000 on #fde725')
    """
    middle, half = (low + high) / 2, max(high - low, LEAST_RANGE) / 2
    place = min(int((value - middle + half) / (2 * half) * len(SHADES)), len(SHADES) - 1)
    return f"{'#ffffff' if place < DARK_SHADES else '#000000'} on {SHADES[place]}"


SUITE = ["suite", "suite_version", "protocol"]
"""The columns that the settings of one table share."""

NAME_WIDTH, INDENT = 20, 2
GAP = 1
"""Characters that the box puts between two columns."""
LEGEND = (
    "mean AUC: mean over threat groups of the AUC, in an adversarial group that of the strongest attack",
    "* no recipe of its column is better",
    "+ or -: better or worse than unregularized, by the verdict (corrected for all pairs of its column)",
)
BELOW = "indented: control of the recipe above"
DOUBT = f"! incomplete, or {MASKED}"

MARKS = {BETTER: "+", WORSE: "-"}

Scale = tuple[float, float]


class _Column(NamedTuple):
    """A combination, or the mean over all: the lines of its heading, and a row of the leaderboard for each recipe."""

    heading: list[str]
    rows: dict[str, dict[str, Any]]

    @property
    def marks(self) -> int:
        """How many characters stand behind a mean AUC."""
        return 1 + any(map(_doubtful, self.rows.values()))

    @property
    def width(self) -> int:
        return max(len("*.123") + self.marks, *map(len, self.heading))

    @property
    def mean_aucs(self) -> "pd.Series[float]":
        return pd.Series({recipe: row["mean_auc"] for recipe, row in self.rows.items()}, dtype=float)


def render_overview(leaderboard: pd.DataFrame, width: int, aggregates: pd.DataFrame | None = None) -> Group:
    """Return one table a suite for ``rich.print``, then the meaning of the marks and the command for one combination.

    Args:
        leaderboard: As ``build_leaderboard`` returns it; at least one row.
        width: Columns of the terminal.
        aggregates: The columns ``AGGREGATES``, of the suites of the leaderboard.
    """
    scale = float(leaderboard["mean_auc"].min()), float(leaderboard["mean_auc"].max())
    controls = dict(zip(leaderboard["recipe"], leaderboard["controls"], strict=True))
    parts: list[RenderableType] = []
    for (suite, version, protocol), rows in leaderboard.groupby(SUITE, sort=False):
        title = f"  overview of the suite {suite} {version}, {protocol} protocol"
        parts += [Text.assemble(("robustbench_pix", "bold"), (title, "dim")), "", *_tables(rows, scale, width)]
        if aggregates is not None:
            of_suite = aggregates[(aggregates[SUITE] == [suite, version, protocol]).all(axis="columns")]
            for (size, precision), means in of_suite.groupby(["size", "precision"], sort=False):
                parts += _over_combinations(means, controls, str(size), str(precision), width)
    legend = [*LEGEND]
    legend += [BELOW] if leaderboard["controls"].any() else []
    legend += [DOUBT] if _doubts(leaderboard) else []
    parts += [Text(sentence) for sentence in _lacking(leaderboard)]
    parts.append(Text(captions.flowing(legend, width), style="dim"))
    if leaderboard["mean_auc"].notna().any():
        parts.append(_swatches(scale))
    task, images = leaderboard.iloc[0][["task", "regularization_data"]]
    command = f"rbp leaderboard --on {task}" + (f":{images}" if images != task else "")
    return Group(*parts, "", Text.assemble("Curves, intervals and notes of one combination: ", (command, "bold")))


def _over_combinations(
    aggregates: pd.DataFrame, controls: dict[str, str], size: str, precision: str, width: int
) -> list[RenderableType]:
    """Return the interquartile mean of each recipe, and how likely one of its models exceeds one of unregularized."""
    table = aggregate_table(aggregates, controls)
    of = [f"size {size}"] * (size != "full") + [precision] * (precision != "float32")
    drawn = rich_tables.rich_tables(table, width)
    return [*drawn, Text(captions.flowing([*of, *table.notes], width), style="dim"), ""]


def _tables(rows: pd.DataFrame, scale: Scale, width: int) -> list[RenderableType]:
    """Return the table of one suite; several, if its columns do not fit beside each other."""
    columns = _columns(rows)
    names = _names(rows, columns)
    recipe_width = min(max(len(name) + INDENT * below for name, below in names), NAME_WIDTH)
    parts: list[RenderableType] = []
    for places in packed([GAP + column.width for column in columns], width - recipe_width):
        table = rich_tables.plain_table()
        table.add_column("recipe", width=recipe_width)
        shown = [columns[place] for place in places]
        for column in shown:
            heading = Text("\n".join(line.rjust(column.width) for line in column.heading))
            table.add_column(heading, width=column.width, vertical="bottom")
        for name, below in names:
            indent = " " * INDENT * below
            lines = [indent + line for line in rich_tables.wrapped(name, recipe_width - len(indent))]
            mean_aucs = [_cell(column, name, scale) for column in shown]
            table.add_row(Text("\n".join(lines), style="dim" if below else ""), *mean_aucs)
        parts += [table, ""]
    return parts


def _columns(rows: pd.DataFrame) -> list[_Column]:
    """Return a column a setting, and where some recipe has a mean AUC in all of several, their mean."""
    columns = []
    differing = [
        name
        for name in SETTING[SETTING.index("size") :]
        if rows.groupby(["task", "regularization_data"])[name].nunique().max() > 1
    ]
    for setting, part in rows.groupby(SETTING, sort=False):
        of = dict(zip(SETTING, map(str, setting), strict=True))
        heading = [of["task"]] + [of["regularization_data"]] * (of["regularization_data"] != of["task"])
        heading += [of["size"]] * (of["size"] != "full" and "size" not in differing) + [of[name] for name in differing]
        lines = [line for text in heading for line in rich_tables.words(text)]
        columns.append(_Column(lines, {row["recipe"]: row for row in records(part)}))
    mean_aucs = pd.DataFrame([column.mean_aucs for column in columns])
    means = mean_aucs.mean(skipna=False).dropna()
    if len(columns) > 1 and len(means):
        columns.append(_Column(["mean"], {str(name): {"mean_auc": value} for name, value in means.items()}))
    return columns


def _names(rows: pd.DataFrame, columns: list[_Column]) -> list[tuple[str, bool]]:
    """Return the recipes, controls below their claims, by their mean lead over the others of a column."""
    mean_aucs = pd.DataFrame([column.mean_aucs for column in columns])
    lead = (
        mean_aucs.sub(mean_aucs.mean(axis="columns"), axis="index").mean().sort_values(ascending=False, kind="stable")
    )
    controls = dict(zip(rows["recipe"], rows["controls"], strict=True))
    return beside_claims({str(name): controls[str(name)] for name in lead.index})


def _cell(column: _Column, recipe: str, scale: Scale) -> Text:
    """Return a mean AUC with its marks, as wide as its column so that its colour is; blank where none was requested."""
    row = column.rows.get(recipe)
    if row is None:
        return Text()
    value, doubt = row["mean_auc"], "!" * _doubtful(row)
    if pd.isna(value):
        failed = row["status"] == "failed"
        text = "failed" if failed else f"{ABSENT}{doubt or ' '}"
        return Text(text.rjust(column.width), style="yellow" if failed else "dim")
    top = "rank" in row and leads(row, "mean_auc", value)
    marks = (MARKS.get(row.get("verdict", ""), "") + doubt).ljust(column.marks)
    text = f"{'*' * top}{share(value)}{marks}".rjust(column.width)
    return Text(text, style=f"{'bold ' * top}{shade(value, *scale)}")


def _lacking(leaderboard: pd.DataFrame) -> list[str]:
    """Return a sentence for combinations with too few seeds for a verdict, with the number needed."""
    found: dict[str, list[str]] = {}
    for _, rows in leaderboard.groupby(SETTING, sort=False):
        first = rows.iloc[0]
        for sentence in captions.verdicts(rows)[-1:]:
            if "too few" in sentence:
                found.setdefault(sentence, []).append(combination_name(first))
    return [f"{', '.join(dict.fromkeys(where))}: {sentence}." for sentence, where in found.items()]


def _doubtful(row: dict[str, Any]) -> bool:
    return row.get("status") == "incomplete" or bool(doubt(row.get("gradients", "")))


def _doubts(rows: pd.DataFrame) -> bool:
    return any(map(_doubtful, records(rows)))


def _swatches(scale: Scale) -> Text:
    """Return the ends and the middle of the colours' scale, each in its colour."""
    low, high = scale
    shown = [(f" {share(value)} ", shade(value, low, high)) for value in (low, (low + high) / 2, high)]
    return Text.assemble(("colours: ", "dim"), *(part for pair in zip(shown, [" "] * 3, strict=True) for part in pair))

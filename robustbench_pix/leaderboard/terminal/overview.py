"""All combinations of a board at a glance: a row a recipe, a column a combination, the score in each cell."""

from typing import Any, NamedTuple

import pandas as pd
from rich.box import SIMPLE_HEAD
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from robustbench_pix.leaderboard import cells, facts
from robustbench_pix.leaderboard.order import beside_claims
from robustbench_pix.leaderboard.terminal.heat import shade
from robustbench_pix.leaderboard.terminal.packing import packed
from robustbench_pix.results.frames import BLOCK

SUITE = ["suite", "suite_version", "protocol"]
"""What the blocks of one table share."""

NAME_WIDTH, INDENT = 20, 2
GAP = 1
"""Characters that the box puts between two columns."""
LEGEND = (
    "score: mean robustness over the attacks of the suite",
    "* best of its column",
    "= not told apart from it (all pairs corrected)",
    "+ or -: the 95% interval of the gain over unregularized lies above or below 0",
)
BELOW = "indented: control of the recipe above"
DOUBT = f"! incomplete, or {cells.MASKED}"

Scale = tuple[float, float]


class _Column(NamedTuple):
    """A combination, or the mean over all: the lines of its heading, and a row of the leaderboard for each recipe."""

    heading: list[str]
    rows: dict[str, dict[str, Any]]

    @property
    def width(self) -> int:
        return max(len("*.123+") + any(map(_doubtful, self.rows.values())), *map(len, self.heading))

    @property
    def scores(self) -> "pd.Series[float]":
        return pd.Series({recipe: row["score"] for recipe, row in self.rows.items()}, dtype=float)

    def tied(self, recipe: str) -> bool:
        """Return whether a recipe shares a group with the one of the best score."""
        best, own = (
            set(filter(None, self.rows[name].get("group", "").split(",")))
            for name in (str(self.scores.idxmax()), recipe)
        )
        return bool(best & own)


def render_overview(leaderboard: pd.DataFrame, width: int, across: pd.DataFrame | None = None) -> Group:
    """Return one table a suite for ``rich.print``, then what the marks mean and how to see a combination in detail.

    Args:
        leaderboard: As ``build_leaderboard`` returns it; at least one row.
        width: Columns of the terminal.
        across: Means over combinations, the columns ``ACROSS``; of the suites of the leaderboard.
    """
    scale = float(leaderboard["score"].min()), float(leaderboard["score"].max())
    parts: list[RenderableType] = []
    for (suite, version, protocol), rows in leaderboard.groupby(SUITE, sort=False):
        title = f"  overview of the suite {suite} {version}, {protocol} protocol"
        parts += [Text.assemble(("robustbench_pix", "bold"), (title, "dim")), "", *_tables(rows, scale, width)]
        if across is not None:
            of_suite = across[(across[SUITE] == [suite, version, protocol]).all(axis="columns")]
            for (size, precision), means in of_suite.groupby(["size", "precision"], sort=False):
                parts += _over_combinations(means, str(size), str(precision))
    legend = [*LEGEND]
    legend += [BELOW] if leaderboard["controls"].any() else []
    legend += [DOUBT] if _doubts(leaderboard) else []
    parts.append(Text(facts.flowing(legend, width), style="dim"))
    if leaderboard["score"].notna().any():
        parts.append(_swatches(scale))
    task, images = leaderboard.iloc[0][["task", "images"]]
    command = f"rbp leaderboard --on {task}" + (f":{images}" if images != task else "")
    return Group(*parts, "", Text.assemble("Curves, intervals and notes of one combination: ", (command, "bold")))


def _over_combinations(across: pd.DataFrame, size: str, precision: str) -> list[RenderableType]:
    """Return one line a recipe: its interquartile mean, and how likely a model of it exceeds one of unregularized."""
    table = Table(box=SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=(0, 1, 0, 0), border_style="dim")
    for heading in ("recipe", "combinations", "mean", "95%", "P(better)", "95%"):
        table.add_column(heading, justify="left" if heading == "recipe" else "right")
    for row in across.sort_values("mean", ascending=False).to_dict("records"):
        better = [row[f"improvement{end}"] for end in ("", "_low", "_high")]
        shown = [cells.ABSENT if pd.isna(value) else cells.share(value) for value in better]
        interval = f"{cells.share(row['mean_low'])}–{cells.share(row['mean_high'])}"
        likely = "" if pd.isna(better[0]) else f"{shown[1]}–{shown[2]}"
        count = str(row["combinations"])
        table.add_row(str(row["recipe"]), count, cells.share(row["mean"]), interval, shown[0], likely)
    told = "mean: interquartile, over all models · P(better): that a model exceeds one of unregularized"
    of = [f"size {size}"] * (size != "full") + [precision] * (precision != "float32")
    return [table, Text(" · ".join([*of, told]), style="dim"), ""]


def _tables(rows: pd.DataFrame, scale: Scale, width: int) -> list[RenderableType]:
    """Return the table of one suite; several, if its columns do not fit beside each other."""
    columns = _columns(rows)
    names = _names(rows, columns)
    recipe_width = min(max(len(name) + INDENT * below for name, below in names), NAME_WIDTH)
    parts: list[RenderableType] = []
    for places in packed([GAP + column.width for column in columns], width - recipe_width):
        table = Table(box=SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=0, border_style="dim")
        table.add_column("recipe", width=recipe_width)
        shown = [columns[place] for place in places]
        for column in shown:
            heading = Text("\n".join(line.rjust(column.width) for line in column.heading))
            table.add_column(heading, width=column.width, vertical="bottom")
        for name, below in names:
            indent = " " * INDENT * below
            lines = [indent + line for line in cells.wrapped(name, recipe_width - len(indent))]
            scores = [_cell(column, name, scale) for column in shown]
            table.add_row(Text("\n".join(lines), style="dim" if below else ""), *scores)
        parts += [table, ""]
    return parts


def _columns(rows: pd.DataFrame) -> list[_Column]:
    """Return a column a block, and where some recipe has a score in all of several, their mean."""
    columns = []
    differing = [
        name for name in BLOCK[BLOCK.index("size") :] if rows.groupby(["task", "images"])[name].nunique().max() > 1
    ]
    for block, part in rows.groupby(BLOCK, sort=False):
        of = dict(zip(BLOCK, map(str, block), strict=True))
        heading = [of["task"]] + [of["images"]] * (of["images"] != of["task"])
        heading += [of["size"]] * (of["size"] != "full" and "size" not in differing) + [of[name] for name in differing]
        records = {row["recipe"]: {str(name): value for name, value in row.items()} for row in part.to_dict("records")}
        columns.append(_Column([line for text in heading for line in cells.words(text)], records))
    scores = pd.DataFrame([column.scores for column in columns])
    means = scores.mean(skipna=False).dropna()
    if len(columns) > 1 and len(means):
        columns.append(_Column(["mean"], {str(name): {"score": value} for name, value in means.items()}))
    return columns


def _names(rows: pd.DataFrame, columns: list[_Column]) -> list[tuple[str, bool]]:
    """Return the recipes, controls below their claims, by their mean lead over the others of a column."""
    scores = pd.DataFrame([column.scores for column in columns])
    lead = scores.sub(scores.mean(axis="columns"), axis="index").mean().sort_values(ascending=False, kind="stable")
    controls = dict(zip(rows["recipe"], rows["controls"], strict=True))
    return beside_claims({str(name): controls[str(name)] for name in lead.index})


def _cell(column: _Column, recipe: str, scale: Scale) -> Text:
    """Return a score with its marks, as wide as its column so that its colour is; blank where nothing was asked."""
    row = column.rows.get(recipe)
    if row is None:
        return Text()
    value, doubt = row["score"], "!" * _doubtful(row)
    if pd.isna(value):
        failed = row["status"] == "failed"
        text = "failed" if failed else f"{cells.ABSENT}{doubt or ' '}"
        return Text(text.rjust(column.width), style="yellow" if failed else "dim")
    top = cells.share(value) == cells.share(cells.best(column.scores))
    before = "*" if top else "=" if column.tied(recipe) else ""
    mark = "+" if row.get("gain_low", 0) > 0 else "-" if row.get("gain_high", 0) < 0 else " "
    text = f"{before}{cells.share(value)}{mark}{doubt}".rjust(column.width)
    return Text(text, style=f"{'bold ' * top}{shade(value, *scale)}")


def _doubtful(row: dict[str, Any]) -> bool:
    return row.get("status") == "incomplete" or row.get("gradients", "").startswith("masked")


def _doubts(rows: pd.DataFrame) -> bool:
    return any(_doubtful({str(name): value for name, value in row.items()}) for row in rows.to_dict("records"))


def _swatches(scale: Scale) -> Text:
    """Return the ends and the middle of the colours' scale, each in its colour."""
    low, high = scale
    shown = [(f" {cells.share(value)} ", shade(value, low, high)) for value in (low, (low + high) / 2, high)]
    return Text.assemble(("colours: ", "dim"), *(part for pair in zip(shown, [" "] * 3, strict=True) for part in pair))

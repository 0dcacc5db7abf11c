"""Success and distance against queries as LaTeX: a table a block and attack, at one strength."""

from typing import Any

import pandas as pd

from robustbench_pix.attacks.checkpoints import DISTANCE_AT
from robustbench_pix.leaderboard.paper import latex
from robustbench_pix.leaderboard.paper.figure_style import attack_name
from robustbench_pix.leaderboard.paper.latex_blocks import Block, kind_name
from robustbench_pix.leaderboard.paper.latex_columns import (
    MEASURED,
    NUMBER,
    TEXT,
    WHOLE,
    Column,
    absent,
    decimals,
    fixed,
    number,
    share_cell,
    table,
    whole,
    with_ends,
    with_half,
)
from robustbench_pix.leaderboard.terminal.query_table import SHOWN, middle_strength

LEGEND = (
    "success: share of the images that were right without attack for which an adversarial within this distance was "
    "found after so many queries, and at the end of the attack",
    "distance: median over these images after so many queries, -- where more than half have none yet",
    "median: queries that a success takes (Kaplan-Meier; [ ]: 95% interval, images taken as independent), after > the "
    "budget where more than half did not succeed",
    "images: those of all seeds together",
)


def query_tables(block: Block, queries: pd.DataFrame) -> str:
    """Return the tables of a block; nothing where no attack asks queries.

    Args:
        block: Whose tables.
        queries: The columns ``QUERIES``, of all blocks.
    """
    parts = []
    for attack, rows in block.of(queries).groupby("attack", sort=False):
        parts.append(_table(block, str(attack), rows[rows["strength"] == middle_strength(rows)]))
    return "\n".join(parts)


def _table(block: Block, attack: str, rows: pd.DataFrame) -> str:
    counts = [count for count in SHOWN if rows[f"success_at_{count}"].notna().any()]
    near = [count for count in counts if rows[f"{DISTANCE_AT}{count}"].notna().any()]
    places = decimals(pd.concat([rows[f"{DISTANCE_AT}{count}"] for count in near])) if near else 0
    body = []
    for row in rows.to_dict("records"):
        cells = [block.name(row["recipe"]), whole(f"{row['n']:,}")]
        cells += [share_cell(row[f"success_at_{count}"]) for count in counts]
        cells += [share_cell(row["found"] / row["n"] if row["n"] else float("nan"))]
        cells += [_distance(row[f"{DISTANCE_AT}{count}"], places) for count in near]
        body.append([*cells, _median(row)])
    named = [Column(f"{count:,}") for count in counts]
    columns = [Column("", TEXT), Column("images", WHOLE), *named, Column("end")]
    columns += [*(Column(f"{count:,}") for count in near), Column("median", MEASURED)]
    groups = [("", 2), ("success", len(counts) + 1), *([("distance", len(near))] if near else []), ("queries", 1)]
    first, limits = rows.iloc[0], [f"{limit:,}" for limit in sorted(rows["limit"].unique())]
    at = f" Here: {latex.escaped(attack_name(attack))}, {kind_name(first['strength_kind'])} {first['strength']:.3g}"
    budget = f"at most {limits[0]}{f' to {limits[-1]}' if len(limits) > 1 else ''} queries an image"
    caption = f"{block.caption('Queries', LEGEND)}{at}; {budget}."
    return table(caption, block.label("queries", attack), columns, body, groups=groups)


def _distance(value: float, places: int) -> str:
    return absent(NUMBER) if pd.isna(value) else number(fixed(value, places))


def _median(row: dict[Any, Any]) -> str:
    """Return the median with its interval, or that it lies beyond the budget."""
    beyond = f"{row['limit']:,}"
    if not row["n"]:
        return absent(MEASURED)
    if pd.isna(row["median_queries"]):
        return with_half(f">{beyond}", "")
    low, high = (fixed(row[f"median_{end}"], 0) for end in ("low", "high"))
    return with_ends(fixed(row["median_queries"], 0), low, high if pd.notna(row["median_high"]) else f">{beyond}")

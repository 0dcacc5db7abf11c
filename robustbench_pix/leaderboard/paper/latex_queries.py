"""Success and distance against queries as LaTeX: a table a setting and attack, at one strength."""

import pandas as pd

from robustbench_pix.attacks.recorded import DISTANCE_AT
from robustbench_pix.leaderboard.display import (
    QUERY_COUNTS,
    Cell,
    at_middle_strength,
    decimals,
    fixed_cell,
    median_queries,
    records,
    share_cell,
)
from robustbench_pix.leaderboard.paper import latex
from robustbench_pix.leaderboard.paper.figure_style import attack_name
from robustbench_pix.leaderboard.paper.latex_columns import MEASURED, TEXT, WHOLE, Column, table
from robustbench_pix.leaderboard.paper.latex_settings import SettingRows, kind_name

LEGEND = (
    "success: share of the images that were right without attack for which an adversarial within this distance was "
    "found after so many queries, and at the end of the attack",
    "distance: median over these images after so many queries, -- where more than half have none yet",
    "median: queries that a success takes (Kaplan-Meier; [ ]: 95% interval, images taken as independent), after > the "
    "budget where more than half did not succeed",
    "images: those of all seeds together",
)


def query_tables(setting: SettingRows, queries: pd.DataFrame) -> str:
    """Return the tables of a setting; nothing where no attack asks queries.

    Args:
        setting: Whose tables.
        queries: The columns ``QUERIES``, of all settings.
    """
    parts = []
    for attack, rows in setting.of(queries).groupby("attack", sort=False):
        parts.append(_table(setting, str(attack), at_middle_strength(rows)))
    return "\n".join(parts)


def _table(setting: SettingRows, attack: str, rows: pd.DataFrame) -> str:
    counts = [count for count in QUERY_COUNTS if rows[f"success_at_{count}"].notna().any()]
    near = [count for count in counts if rows[f"{DISTANCE_AT}{count}"].notna().any()]
    places = decimals(rows[[f"{DISTANCE_AT}{count}" for count in near]].max().max()) if near else 0
    body = []
    for row in records(rows):
        cells = [setting.name(row["recipe"]), Cell(f"{row['n']:,}")]
        cells += [share_cell(row[f"success_at_{count}"]) for count in counts]
        cells += [share_cell(row["found"] / row["n"] if row["n"] else float("nan"))]
        cells += [fixed_cell(row[f"{DISTANCE_AT}{count}"], places) for count in near]
        body.append([*cells, median_queries(row)])
    named = [Column(f"{count:,}") for count in counts]
    columns = [Column("", TEXT), Column("images", WHOLE), *named, Column("end")]
    columns += [*(Column(f"{count:,}") for count in near), Column("median", MEASURED)]
    groups = [("", 2), ("success", len(counts) + 1), *([("distance", len(near))] if near else []), ("queries", 1)]
    first, limits = rows.iloc[0], [f"{limit:,}" for limit in sorted(rows["query_budget"].unique())]
    at = f" Here: {latex.escaped(attack_name(attack))}, {kind_name(first['strength_kind'])} {first['strength']:.3g}"
    budget = f"at most {limits[0]}{f' to {limits[-1]}' if len(limits) > 1 else ''} queries an image"
    caption = f"{setting.caption('Queries', LEGEND)}{at}; {budget}."
    return table(caption, setting.label("queries", attack), columns, body, groups=groups)

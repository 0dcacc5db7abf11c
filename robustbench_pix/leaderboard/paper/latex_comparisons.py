"""The comparisons of a setting as LaTeX: every recipe beside unregularized, then each claim beside its controls."""

import math
from typing import Any

import pandas as pd

from robustbench_pix.leaderboard.display import NOTHING, Cell, share, share_cell
from robustbench_pix.leaderboard.paper.latex_columns import MEASURED, TEXT, WHOLE, Column, table
from robustbench_pix.leaderboard.paper.latex_settings import HALF, SettingRows
from robustbench_pix.results.statistics.verdicts import BETTER, WORSE

COLUMNS = (
    Column("", TEXT),
    Column("seeds", WHOLE),
    Column("difference", MEASURED),
    Column(r"$p_\mathrm{adj}$"),
    Column(r"$p_\mathrm{flip}$"),
    Column("detectable"),
    Column("verdict", TEXT),
)
LEGEND = (
    "difference in mean AUC (mean of the AUC over threat groups) to what the heading names, paired by seed",
    HALF,
)
TESTS = (
    r"$p_\mathrm{adj}$: paired t test, the variance over test images added, after Holm's correction for all pairs of "
    r"recipes of the board; $p_\mathrm{flip}$: exact sign-flip test of the pair alone; both two-sided; detectable: "
    r"smallest true difference that an uncorrected t test at 5\% of so many seeds and this spread finds in 80\% of "
    r"cases; verdict: by $p_\mathrm{adj} \leq .05$, from six seeds on."
)
SMALLEST = 0.001
"""Smaller p-values are not written out."""

BASELINE_ROLE = "baseline"


def comparison_tables(setting: SettingRows, comparisons: pd.DataFrame) -> str:
    """Return the table of a setting; nothing where no recipe was compared.

    Args:
        setting: Whose table.
        comparisons: The columns ``COMPARISONS``, of all settings.
    """
    rows = setting.of(comparisons)
    if rows.empty:
        return ""
    body: list[list[Cell]] = []
    against_baseline = rows["role"] == BASELINE_ROLE
    for reference, of in rows[against_baseline].groupby("reference", sort=False):
        body.append([Cell(f"compared with {reference}")])
        body += [[setting.name(row["recipe"]), *_cells(row)] for row in of.to_dict("records")]
    for claim, of in rows[~against_baseline].groupby("recipe", sort=False):
        body.append([Cell(f"{claim} compared with its controls")])
        body += [[Cell(row["reference"]), *_cells(row)] for row in of.to_dict("records")]
    caption = f"{setting.caption('Comparisons', LEGEND)} {TESTS}"
    return table(caption, setting.label("comparisons"), COLUMNS, body)


def _cells(row: dict[Any, Any]) -> list[Cell]:
    return [
        Cell(str(row["seeds"])),
        share_cell(row["difference"], row["low"], row["high"], signed=True),
        _p_value(row["p_adjusted"]),
        _p_value(row["p_value"]),
        share_cell(row["detectable"]),
        Cell(row["verdict"], best=row["verdict"] in (BETTER, WORSE)),
    ]


def _p_value(value: float) -> Cell:
    if math.isnan(value):
        return NOTHING
    return Cell(f"<{share(SMALLEST)}" if value < SMALLEST else share(value))

"""The comparisons of a block as LaTeX: every recipe beside unregularized, then each claim beside its controls."""

import math
from typing import Any

import pandas as pd

from robustbench_pix.leaderboard.cells import share
from robustbench_pix.leaderboard.paper import latex
from robustbench_pix.leaderboard.paper.latex_blocks import HALF, Block
from robustbench_pix.leaderboard.paper.latex_columns import (
    MEASURED,
    NUMBER,
    TEXT,
    WHOLE,
    Column,
    absent,
    measured_share,
    number,
    section,
    share_cell,
    table,
    whole,
)

COLUMNS = (
    Column("", TEXT),
    Column("seeds", WHOLE),
    Column("difference", MEASURED),
    Column("$p_t$"),
    Column(r"$p_\mathrm{flip}$"),
    Column("detectable"),
    Column("verdict", TEXT),
)
LEGEND = (
    "difference in score (mean robustness over the attacks) to what the heading names, paired by seed",
    HALF,
)
TESTS = (
    r"$p_t$: paired t test; $p_\mathrm{flip}$: exact sign-flip test; both two-sided and after Holm's correction for "
    r"all comparisons of the table; detectable: smallest true difference that a t test at 5\% of so many seeds and "
    r"this spread finds in 80\% of cases; verdict: by $p_t \leq .05$, from six seeds on."
)
SMALLEST = 0.001
"""Smaller p-values are not written out."""

BASELINE_ROLE = "baseline"


def comparison_tables(block: Block, comparisons: pd.DataFrame) -> str:
    """Return the table of a block; nothing where no recipe was compared.

    Args:
        block: Whose table.
        comparisons: The columns ``COMPARISONS``, of all blocks.
    """
    rows = block.of(comparisons)
    if rows.empty:
        return ""
    body: list[list[str]] = []
    against_baseline = rows["role"] == BASELINE_ROLE
    for reference, of in rows[against_baseline].groupby("reference", sort=False):
        body.append(section(f"compared with {latex.escaped(str(reference))}", COLUMNS, first=not body))
        body += [[block.name(row["recipe"]), *_cells(row)] for row in of.to_dict("records")]
    for claim, of in rows[~against_baseline].groupby("recipe", sort=False):
        body.append(section(f"{latex.escaped(str(claim))} compared with its controls", COLUMNS, first=not body))
        body += [[latex.escaped(row["reference"]), *_cells(row)] for row in of.to_dict("records")]
    tests = [text.replace("p_holm", "corrected p") for text in dict.fromkeys(rows["test"])]
    caption = f"{block.caption('Comparisons', [*LEGEND, *tests])} {TESTS}"
    return table(caption, block.label("comparisons"), COLUMNS, body)


def _cells(row: dict[Any, Any]) -> list[str]:
    verdict = latex.escaped(row["verdict"])
    return [
        whole(str(row["seeds"])),
        measured_share(row["difference"], row["low"], row["high"], signed=True),
        _p_value(row["p_student_holm"]),
        _p_value(row["p_holm"]),
        share_cell(row["detectable"]),
        rf"\textbf{{{verdict}}}" if row["verdict"] in ("better", "worse") else verdict,
    ]


def _p_value(value: float) -> str:
    if math.isnan(value):
        return absent(NUMBER)
    return number(f"<{share(SMALLEST)}" if value < SMALLEST else share(value))

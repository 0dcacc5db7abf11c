"""Recipes over several combinations as LaTeX: a table a suite, size and precision."""

from typing import Any

import pandas as pd

from robustbench_pix.leaderboard import facts
from robustbench_pix.leaderboard.cells import best, share
from robustbench_pix.leaderboard.order import beside_claims
from robustbench_pix.leaderboard.paper import latex
from robustbench_pix.leaderboard.paper.latex_blocks import BEST, INDENTED
from robustbench_pix.leaderboard.paper.latex_columns import (
    MEASURED,
    TEXT,
    WHOLE,
    Column,
    absent,
    table,
    whole,
    with_ends,
)
from robustbench_pix.results.statistics.across import SUITE

COLUMNS = (
    Column("", TEXT),
    Column("combinations", WHOLE),
    Column("models", WHOLE),
    Column("mean score", MEASURED),
    Column("P(better)", MEASURED),
)
LEGEND = (
    "mean score: interquartile mean over the models of all combinations of task and images (of the score, which is the "
    "mean robustness over the attacks)",
    "P(better): probability that a model scores more than one of unregularized, mean over combinations",
    "[ ]: 95% intervals, bootstrap over seeds within combinations (Agarwal et al. 2021)",
    BEST,
)


def across_tables(across: pd.DataFrame, leaderboard: pd.DataFrame) -> str:
    """Return the tables; nothing where no recipe has two combinations.

    Args:
        across: The columns ``ACROSS``.
        leaderboard: Whose recipes they are; it says what controls what, and which combinations there are.
    """
    controls = dict(zip(leaderboard["recipe"], leaderboard["controls"], strict=True))
    parts = []
    for key, of in across.groupby(list(SUITE), sort=False):
        ranked = of.sort_values("mean", ascending=False, kind="stable").set_index("recipe")
        rows = {str(row["recipe"]): row for row in ranked.reset_index().to_dict("records")}
        tops = {name: best(ranked[name]) for name in ("mean", "improvement")}
        body = []
        for recipe, below in beside_claims({str(name): controls[str(name)] for name in ranked.index}):
            row = rows[recipe]
            counts = [whole(str(row[name])) for name in ("combinations", "models")]
            cells = [_cell(row, name, tops[name]) for name in tops]
            body.append([r"\quad " * below + latex.escaped(recipe), *counts, *cells])
        named = dict(zip(SUITE, key, strict=True))
        blocks = leaderboard[(leaderboard[list(SUITE)] == list(key)).all(axis="columns")]
        parts.append(table(_caption(named, blocks), latex.label("tab", "across", *key), COLUMNS, body))
    return "\n".join(parts)


def _caption(named: dict[str, object], blocks: pd.DataFrame) -> str:
    there = blocks.loc[blocks["score"].notna(), ["task", "images"]].drop_duplicates()
    told = [*LEGEND, *([INDENTED] if blocks["controls"].any() else [])]
    told += [f"combinations: {', '.join(f'{task}:{images}' for task, images in there.itertuples(index=False))}"]
    told += [*facts.seeds(blocks), f"suite {named['suite']} {named['suite_version']}"]
    told += [facts.protocol(str(named["protocol"]))]
    told += [str(named[name]) for name in ("size", "precision") if named[name] not in ("full", "float32")]
    return latex.escaped(f"Over several combinations: {'; '.join(told)}.")


def _cell(row: dict[Any, Any], name: str, top: float) -> str:
    if pd.isna(row[name]):
        return absent(MEASURED)
    value, low, high = (share(row[f"{name}{end}"]) for end in ("", "_low", "_high"))
    return with_ends(value, low, high, bold=value == share(top))

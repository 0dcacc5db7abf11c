"""Recipes over several combinations as LaTeX: a table a suite, size and precision."""

import pandas as pd

from robustbench_pix.leaderboard import captions
from robustbench_pix.leaderboard.display import Cell, beside_claims, best, number_with_ends, records
from robustbench_pix.leaderboard.paper import latex
from robustbench_pix.leaderboard.paper.latex_columns import MEASURED, TEXT, WHOLE, Column, table
from robustbench_pix.leaderboard.paper.latex_settings import BEST, INDENTED
from robustbench_pix.results.statistics.aggregates import SUITE

COLUMNS = (
    Column("", TEXT),
    Column("combinations", WHOLE),
    Column("models", WHOLE),
    Column("IQM", MEASURED),
    Column("P(higher)", MEASURED),
)
LEGEND = (
    "IQM: interquartile mean over the models of all combinations of task and images (of the mean AUC, which is the "
    "mean AUC over threat groups)",
    "P(higher): probability that the mean AUC of a model exceeds one of unregularized, mean over combinations",
    "[ ]: 95% intervals, bootstrap over seeds within combinations (Agarwal et al. 2021)",
    BEST,
)


def aggregate_tables(aggregates: pd.DataFrame, leaderboard: pd.DataFrame) -> str:
    """Return the tables; nothing where no recipe has two combinations.

    Args:
        across: The columns ``ACROSS``.
        leaderboard: Whose recipes they are; it says what controls what, and which combinations there are.
    """
    controls = dict(zip(leaderboard["recipe"], leaderboard["controls"], strict=True))
    parts = []
    for key, of in aggregates.groupby(list(SUITE), sort=False):
        ranked = of.sort_values("mean", ascending=False, kind="stable").set_index("recipe")
        rows = {str(row["recipe"]): row for row in records(ranked.reset_index())}
        tops = {name: best(ranked[name]) for name in ("mean", "probability_of_improvement")}
        body = []
        for recipe, below in beside_claims({str(name): controls[str(name)] for name in ranked.index}):
            row = rows[recipe]
            counts = [Cell(str(row[name])) for name in ("combinations", "models")]
            cells = [number_with_ends(row, name, top) for name, top in tops.items()]
            body.append([Cell(recipe, indent=below), *counts, *cells])
        named = dict(zip(SUITE, key, strict=True))
        settings = leaderboard[(leaderboard[list(SUITE)] == list(key)).all(axis="columns")]
        parts.append(table(_caption(named, settings), latex.label("tab", "aggregates", *key), COLUMNS, body))
    return "\n".join(parts)


def _caption(named: dict[str, object], settings: pd.DataFrame) -> str:
    there = settings.loc[settings["mean_auc"].notna(), ["task", "regularization_data"]].drop_duplicates()
    told = [*LEGEND, *([INDENTED] if settings["controls"].any() else [])]
    told += [f"combinations: {', '.join(f'{task}:{images}' for task, images in there.itertuples(index=False))}"]
    told += [*captions.seeds(settings), f"suite {named['suite']} {named['suite_version']}"]
    told += [captions.protocol(str(named["protocol"]))]
    told += [str(named[name]) for name in ("size", "precision") if named[name] not in ("full", "float32")]
    return latex.escaped(f"Over several combinations: {'; '.join(told)}.")

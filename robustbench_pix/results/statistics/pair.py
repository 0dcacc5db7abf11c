"""Two recipes beside each other in every block that has both: score and attacks, the difference paired by seed."""

from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from robustbench_pix.results.frames import BLOCK
from robustbench_pix.results.statistics.comparisons import NOT_TOLD_APART, difference
from robustbench_pix.results.statistics.measured import Recipe, blocks, differences

SCORE = "score"
ONE_SEED = "one seed tells nothing"


class Pair(NamedTuple):
    """What a block says of two recipes.

    Attributes:
        block: the values of ``frames.BLOCK``, by name.
        lines: of the score, then of each attack; empty where the recipes share no seed. Each has ``measure`` ("score"
            or an attack), ``first`` and ``second`` (means over the shared seeds), what ``comparisons.difference``
            returns, and ``verdict``.
    """

    block: dict[str, Any]
    lines: list[dict[str, Any]]


def pairs(measurements: pd.DataFrame, rows: pd.DataFrame, first: str, second: str) -> list[Pair]:
    """Return a pair for each block that has both recipes, in the order of rows.

    A verdict of one comparison is by its 95% interval alone: better or worse where 0 lies outside. It is not corrected
    for the number of attacks.

    Args:
        measurements: The columns ``MEASUREMENTS``.
        rows: As ``build_leaderboard`` takes them.
        first, second: names of recipes; differences are first - second.
    """
    both = [first, second]
    measurements, rows = measurements[measurements["recipe"].isin(both)], rows[rows["recipe"].isin(both)]
    found = []
    for block, recipes in blocks(measurements, rows):
        by_name = {recipe.name: recipe for recipe in recipes}
        if len(by_name) == len(both):
            found.append(Pair(dict(zip(BLOCK, block, strict=True)), _lines(by_name[first], by_name[second])))
    return found


def _lines(first: Recipe, second: Recipe) -> list[dict[str, Any]]:
    robustness = [recipe.robustness.loc[recipe.shown] for recipe in (first, second)]
    attacks = [attack for attack in first.robustness.columns if attack in second.robustness.columns]
    lines = [_line(SCORE, first.scores, second.scores)]
    lines += [_line(attack, *(table[attack].dropna() for table in robustness)) for attack in attacks]
    return [line for line in lines if line]


def _line(measure: str, first: "pd.Series[float]", second: "pd.Series[float]") -> dict[str, Any]:
    seeds = differences(first, second)
    if not len(seeds):
        return {}
    common = first.index.intersection(second.index)
    means = {"first": float(first[common].mean()), "second": float(second[common].mean())}
    found = difference(seeds)
    return {"measure": measure, **means, **found, "verdict": _verdict(found)}


def _verdict(found: dict[str, Any]) -> str:
    if np.isnan(found["low"]):
        return ONE_SEED
    return "better" if found["low"] > 0 else "worse" if found["high"] < 0 else NOT_TOLD_APART

"""Ranks that follow from the verdicts of a setting: one number, an interval of ranks, and groups."""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from robustbench_pix.results.statistics.verdicts import BETTER, TOO_FEW, WORSE, Comparisons

Signs = NDArray[np.int8]
"""(recipes, recipes): 1 where the row's recipe is better than the column's, -1 where worse, 0 where neither."""

SIGNS = {BETTER: 1, WORSE: -1}


class Rank(NamedTuple):
    """Where a recipe stands among those of its setting that have a verdict."""

    rank: int
    rank_low: int
    rank_high: int
    group: str


def ranks(mean_aucs: Mapping[str, "pd.Series[float]"], comparisons: Comparisons) -> dict[str, Rank]:
    """Return the rank of each recipe that has a verdict with another one.

    - ``rank`` is 1 + the number of recipes that are better than this one.
    - ``rank_low`` to ``rank_high`` holds the rank of the true means of all recipes at once with 95% confidence: better
      ones stand above, worse ones below, and of the others nothing is known. ``rank_low`` equals ``rank``.
    - ``group`` lists letters; two recipes share one if their difference is not significant.

    All three follow from the same verdicts, so that none says more. Recipes without a verdict, for want of seeds or of
    company, have no rank.

    Args:
        mean_aucs: of the seeds of every recipe.
        comparisons: as ``verdicts`` returns them.
    """
    tested = {pair: one for pair, one in comparisons.items() if one.verdict != TOO_FEW}
    names = sorted({name for pair in tested for name in pair}, key=lambda name: (-float(mean_aucs[name].mean()), name))
    signs = np.zeros((len(names), len(names)), dtype=np.int8)
    for (name, other), one in tested.items():
        signs[names.index(name), names.index(other)] = SIGNS.get(one.verdict, 0)
    letters = _groups(signs)
    better, worse = (signs < 0).sum(axis=1), (signs > 0).sum(axis=1)
    return {
        name: Rank(1 + int(better[place]), 1 + int(better[place]), len(names) - int(worse[place]), letters[place])
        for place, name in enumerate(names)
    }


def _groups(signs: Signs) -> list[str]:
    """Return the letters of each recipe, best first: the largest sets in which no two differ have one each.

    Sets are split at every pair that differs, and those inside others are dropped (Piepho 2004).
    """
    groups = [frozenset(range(len(signs)))] if len(signs) else []
    for row, column in np.argwhere(np.triu(signs) != 0).tolist():
        split = [part for group in groups for part in _split(group, row, column)]
        groups = [group for group in dict.fromkeys(split) if not any(group < other for other in split)]
    groups.sort(key=sorted)
    return [
        ",".join(_letter(number) for number, group in enumerate(groups) if place in group)
        for place in range(len(signs))
    ]


def _split(group: frozenset[int], row: int, column: int) -> list[frozenset[int]]:
    return [group - {row}, group - {column}] if row in group and column in group else [group]


def _letter(number: int) -> str:
    """Return a to z, then aa to az, ba and so on.

    >>> [_letter(number) for number in (0, 25, 26, 53)]
    ['a', 'z', 'aa', 'bb']
    """
    before, last = divmod(number, 26)
    return (_letter(before - 1) if before else "") + chr(ord("a") + last)

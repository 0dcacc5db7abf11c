"""Ranks that admit what the data cannot tell: one number, an interval of ranks, and groups that are not told apart."""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from robustbench_pix.results.statistics.intervals import LEVEL, student_interval
from robustbench_pix.results.statistics.measured import differences

Signs = NDArray[np.int8]
"""(recipes, recipes): 1 where the row's score surely lies above the column's, -1 where below, 0 where neither."""


class Rank(NamedTuple):
    """Where a recipe stands among those of its block."""

    rank: int
    rank_low: int
    rank_high: int
    group: str


def ranks(scores: Mapping[str, "pd.Series[float]"]) -> dict[str, Rank]:
    """Return the rank of each recipe that can be compared, from the scores of its seeds.

    - ``rank`` is 1 + the number of recipes whose score minus this one's, paired by seed, has a 95% interval above 0.
    - ``rank_low`` to ``rank_high`` holds the rank of the true means with 95% confidence: intervals against the m - 1
      others are at 1 - .05 / (m - 1) (Bonferroni); surely better ones stand above, surely worse ones below.
    - ``group`` lists letters; two recipes share one if these wider intervals do not tell them apart.

    Where others have a score, a recipe that shares no seed with any of them has no rank; given models have no seed.
    """
    scored = {name: values for name, values in scores.items() if len(values)}
    found = {pair: differences(scored[pair[0]], scored[pair[1]]) for pair in _pairs(list(scored))}
    met = {name for pair, values in found.items() if len(values) for name in pair}
    names = [name for name in scored if name in met or len(scored) == 1]
    names.sort(key=lambda name: -float(scored[name].mean()))
    plain, wide = (_signs(names, found, level) for level in (LEVEL, 1 - (1 - LEVEL) / max(len(names) - 1, 1)))
    letters = _groups(wide)
    return {
        name: Rank(
            rank=1 + int((plain[place] < 0).sum()),
            rank_low=1 + int((wide[place] < 0).sum()),
            rank_high=len(names) - int((wide[place] > 0).sum()),
            group=letters[place],
        )
        for place, name in enumerate(names)
    }


def _pairs(names: list[str]) -> list[tuple[str, str]]:
    return [(name, other) for place, name in enumerate(names) for other in names[place + 1 :]]


def _signs(names: list[str], found: Mapping[tuple[str, str], NDArray[np.float64]], level: float) -> Signs:
    signs = np.zeros((len(names), len(names)), dtype=np.int8)
    for (name, other), values in found.items():
        if name in names and other in names:
            low, high = student_interval(values, level)
            row, column = names.index(name), names.index(other)
            signs[row, column] = int(low > 0) - int(high < 0)
            signs[column, row] = -signs[row, column]
    return signs


def _groups(signs: Signs) -> list[str]:
    """Return the letters of each recipe, best first: the largest sets in which no two are told apart have one each.

    Sets are split at every pair that is told apart, and those inside others are dropped (Piepho 2004).
    """
    groups = [frozenset(range(len(signs)))]
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

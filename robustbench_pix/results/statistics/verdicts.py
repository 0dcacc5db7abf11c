"""The one verdict on two recipes of a setting, and the ranks that follow; every surface shows it, and none says more.

Differences in mean AUC are paired over the seeds that both recipes have. Student's t of paired differences is valid
whatever the correlation between the recipes' outcomes of one seed. Welch's test for independent samples is too bold
where that correlation is negative, as it was measured on MNIST (-.08 to -.71), and gains little where it is positive.
The rule is fixed, so that nobody chooses the test by its outcome. To the variance over seeds the variance over test
images is added (``intervals``), and p-values are corrected by Holm over all pairs of recipes of the setting, because a
reader of the board looks at all of them. So under no difference at most 5% of boards carry any false verdict; k boards
looked at together carry one in at most k x 5%.
"""

from collections.abc import Mapping, Sequence
from itertools import combinations
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from robustbench_pix.results.statistics.intervals import LEVEL, SMALLEST_SIGN_FLIP_SAMPLE, Estimate, estimate, holm
from robustbench_pix.results.statistics.measured import RecipeResults, paired
from robustbench_pix.results.statistics.sampling import MEAN_AUC, SettingSampling

BETTER, WORSE, NOT_SIGNIFICANT, TOO_FEW = "better", "worse", "not significant", "too few seeds"
OPPOSITE = {BETTER: WORSE, WORSE: BETTER}

FEWEST_SEEDS = SMALLEST_SIGN_FLIP_SAMPLE
"""Common seeds that a verdict needs: below, not even equal signs of all differences would be rarer than 5%, and the t
test rests on the normal distribution alone."""

ALPHA = 1 - LEVEL


class Comparison(NamedTuple):
    """What a setting says of the difference in mean AUC of two recipes, first - second, over the seeds that both have.

    ``p_adjusted`` is NaN and the verdict ``TOO_FEW`` below ``FEWEST_SEEDS``.
    """

    seeds: int
    difference: Estimate
    p_adjusted: float
    verdict: str

    @property
    def reversed(self) -> "Comparison":
        """The same with the recipes in the other order."""
        return self._replace(difference=-self.difference, verdict=OPPOSITE.get(self.verdict, self.verdict))


Comparisons = dict[tuple[str, str], Comparison]
"""By names, in both orders; pairs without a common seed are absent."""


def verdicts(recipes: Sequence[RecipeResults], sampling: SettingSampling) -> Comparisons:
    """Return the comparison of all pairs of recipes of one setting that share a seed; external models have none."""
    found: dict[tuple[str, str], tuple[int, Estimate]] = {}
    for first, second in combinations(recipes, 2):
        differences = paired(first, second)
        if len(differences):
            sampled = sampling.difference(MEAN_AUC, first.name, second.name)
            found[first.name, second.name] = len(differences), estimate(differences, sampled)
    tested = [pair for pair, (seeds, _) in found.items() if seeds >= FEWEST_SEEDS]
    adjusted = dict(zip(tested, holm([found[pair][1].p_value for pair in tested]), strict=True))
    comparisons: Comparisons = {}
    for pair, (seeds, difference) in found.items():
        p_value = float(adjusted.get(pair, float("nan")))
        one = Comparison(seeds, difference, p_value, _verdict(difference, p_value))
        comparisons |= {pair: one, pair[::-1]: one.reversed}
    return comparisons


def _verdict(difference: Estimate, p_adjusted: float) -> str:
    if p_adjusted != p_adjusted:
        return TOO_FEW
    if p_adjusted > ALPHA:
        return NOT_SIGNIFICANT
    return BETTER if difference.mean > 0 else WORSE


def needed(seeds: int) -> str:
    """Return how many seeds a verdict needs, where there are fewer.

    >>> needed(3)
    '3 seeds: too few for a verdict; 6 needed: rbp run --seeds 6'
    """
    counted = "1 seed" if seeds == 1 else f"{seeds} seeds"
    return f"{counted}: too few for a verdict; {FEWEST_SEEDS} needed: rbp run --seeds {FEWEST_SEEDS}"


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
        pair = {row, column}
        split = [part for group in groups for part in ([group - {row}, group - {column}] if pair <= group else [group])]
        groups = [group for group in dict.fromkeys(split) if not any(group < other for other in split)]
    groups.sort(key=sorted)
    return [
        ",".join(_letter(number) for number, group in enumerate(groups) if place in group)
        for place in range(len(signs))
    ]


def _letter(number: int) -> str:
    """Return a to z, then aa to az, ba and so on.

    >>> [_letter(number) for number in (0, 25, 26, 53)]
    ['a', 'z', 'aa', 'bb']
    """
    before, last = divmod(number, 26)
    return (_letter(before - 1) if before else "") + chr(ord("a") + last)

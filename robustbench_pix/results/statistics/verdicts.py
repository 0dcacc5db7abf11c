"""The one verdict on two recipes of a setting; every surface shows it, and none says more.

Differences in mean AUC are paired over the seeds that both recipes have. Student's t of paired differences is valid
whatever the correlation between the recipes' outcomes of one seed. Welch's test for independent samples is too bold
where that correlation is negative, as it was measured on MNIST (-.08 to -.71), and gains little where it is positive.
The rule is fixed, so that nobody chooses the test by its outcome. To the variance over seeds the variance over test
images is added (``estimates``), and p-values are corrected by Holm over all pairs of recipes of the setting, because a
reader of the board looks at all of them. So under no difference at most 5% of boards carry any false verdict; k boards
looked at together carry one in at most k x 5%.
"""

from collections.abc import Sequence
from itertools import combinations
from typing import NamedTuple

from robustbench_pix.results.statistics.estimates import Estimate, estimate
from robustbench_pix.results.statistics.intervals import LEVEL, SMALLEST_SIGN_FLIP_SAMPLE, holm
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

"""Two recipes beside each other in every setting that has both: mean AUC and attacks, the difference paired by seed."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import pandas as pd

from robustbench_pix.results.derived_columns import AUC_PREFIX
from robustbench_pix.results.statistics.comparisons import difference
from robustbench_pix.results.statistics.estimates import estimate
from robustbench_pix.results.statistics.measured import RecipeResults, Setting, differences
from robustbench_pix.results.statistics.sampling import MEAN_AUC, Sampling, SettingSampling
from robustbench_pix.results.statistics.verdicts import Comparison, verdicts


class Pair(NamedTuple):
    """What a setting says of two recipes.

    Attributes:
        setting: the values of ``frames.SETTING``, by name.
        comparison: the verdict of the board, first against second; None where the recipes share no seed that has one.
        lines: of the mean AUC, then of each attack; empty where the recipes share no seed. Each has ``measure``
            ("mean_auc" or an attack), ``first`` and ``second`` (means over the shared seeds), and what
            ``comparisons.difference`` returns. An attack has no verdict: the board's is on the mean AUC.
    """

    setting: dict[str, Any]
    comparison: Comparison | None
    lines: list[dict[str, Any]]


def pairs(settings: Sequence[Setting], first: str, second: str, sampling: pd.DataFrame | None = None) -> list[Pair]:
    """Return a pair for each setting that has both recipes.

    Args:
        settings: With all their recipes: verdicts are corrected for all pairs of a setting.
        first, second: names of recipes; differences are first - second.
        sampling: The columns ``SAMPLING``; where a setting is absent, variances are over seeds alone.
    """
    known, found = Sampling(sampling), []
    for setting in settings:
        if (both := two_of(setting, first, second)) is not None:
            here = known.of(setting)
            comparison = verdicts(setting.recipes, here).get((first, second))
            found.append(Pair(setting.facts, comparison, _lines(*both, here)))
    return found


def two_of(setting: Setting, first: str, second: str) -> tuple[RecipeResults, RecipeResults] | None:
    """Return the results of two recipes, or None where the setting lacks one of them."""
    by_name = {recipe.name: recipe for recipe in setting.recipes}
    return (by_name[first], by_name[second]) if first in by_name and second in by_name else None


def _lines(first: RecipeResults, second: RecipeResults, sampling: SettingSampling) -> list[dict[str, Any]]:
    aucs = [recipe.aucs.loc[recipe.shown] for recipe in (first, second)]
    both = {MEAN_AUC: (MEAN_AUC, first.mean_aucs, second.mean_aucs)}
    for attack in first.aucs.columns:
        if attack in second.aucs.columns:
            one, other = (table[attack].dropna() for table in aucs)
            both[attack] = AUC_PREFIX + attack, one, other
    lines = []
    for measure, (column, one, other) in both.items():
        seeds = differences(one, other)
        if len(seeds):
            common = one.index.intersection(other.index)
            means = {"first": float(one[common].mean()), "second": float(other[common].mean())}
            estimated = estimate(seeds, sampling.difference(column, first.name, second.name))
            lines.append({"measure": measure, **means, **difference(seeds, estimated)})
    return lines

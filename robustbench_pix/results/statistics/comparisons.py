"""Recipes compared: every claim beside its references, two in every setting, and sensitivity to weights and ranges."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from robustbench_pix.catalogue.specs import THREATS
from robustbench_pix.results.columns import typed
from robustbench_pix.results.derived_columns import AUC_PREFIX, COMPARISONS
from robustbench_pix.results.statistics.intervals import Estimate, detectable_difference, estimate, sign_flip_p_value
from robustbench_pix.results.statistics.measured import RecipeResults, Setting, differences, mean_aucs, paired
from robustbench_pix.results.statistics.sampling import MEAN_AUC, Sampling, SettingSampling
from robustbench_pix.results.statistics.verdicts import Comparison, verdicts


def build_comparisons(found: Sequence[Setting], sampling: pd.DataFrame | None = None) -> pd.DataFrame:
    """Return the columns ``COMPARISONS``: a row a setting, recipe and reference that have a seed in common.

    Verdicts and adjusted p-values are those of ``verdicts``: of all pairs of the setting, not only of these rows. The
    exact sign-flip test assumes less, but has a smallest p of 2 / 2^n, which no correction survives; it is a number
    beside the verdict. Arguments as of ``build_leaderboard``.
    """
    built: list[dict[str, Any]] = []
    known = Sampling(sampling)
    for setting in found:
        compared = verdicts(setting.recipes, known.of(setting))
        for recipe, reference, role in _pairs(setting):
            if one := compared.get((recipe.name, reference.name)):
                facts = {"recipe": recipe.name, "reference": reference.name, "role": role}
                told = {"p_adjusted": one.p_adjusted, "verdict": one.verdict}
                numbers = difference(paired(recipe, reference), one.difference)
                built.append(setting.facts | facts | numbers | told)
    return typed(pd.DataFrame(built), COMPARISONS)


def difference(differences: NDArray[np.float64], estimated: Estimate) -> dict[str, Any]:
    """Return what paired differences and their estimate say, under the names of ``COMPARISONS``."""
    return {
        "seeds": len(differences),
        "difference": estimated.mean,
        "standard_error": estimated.standard_error,
        **estimated.named(""),
        "p_value": sign_flip_p_value(differences),
        "detectable": detectable_difference(differences),
    }


def _pairs(setting: Setting) -> Iterator[tuple[RecipeResults, RecipeResults, str]]:
    """Return recipe, reference and role: first every recipe beside unregularized, then those that have controls."""
    if (baseline := setting.baseline) is not None:
        yield from ((recipe, baseline, "baseline") for recipe in setting.recipes if recipe is not baseline)
    for recipe in setting.recipes:
        yield from ((recipe, other, "control") for other in setting.recipes if other.requested.controls == recipe.name)


def short(p_value: float) -> str:
    """Return a p-value with two digits and no leading zero.

    >>> short(0.0312), short(1.0)
    ('.031', '1')
    """
    return f"{p_value:.2g}".replace("0.", ".", 1)


class Pair(NamedTuple):
    """What a setting says of two recipes.

    Attributes:
        setting: the values of ``SETTING``, by name.
        comparison: the verdict of the board, first against second; None where the recipes share no seed that has one.
        lines: of the mean AUC, then of each attack; empty where the recipes share no seed. Each has ``measure``
            ("mean_auc" or an attack), ``first`` and ``second`` (means over the shared seeds), and what
            ``difference`` returns. An attack has no verdict: the board's is on the mean AUC.
    """

    setting: dict[str, Any]
    comparison: Comparison | None
    lines: list[dict[str, Any]]


def pairs(settings: Sequence[Setting], first: str, second: str, sampling: pd.DataFrame | None = None) -> list[Pair]:
    """Return a pair for each setting that has both recipes.

    The settings have all their recipes, since verdicts are corrected for all pairs; differences are first - second.
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


BY_GROUP = "by threat group"
EACH_THE_SAME = "each the same"
OF_SUITE = "the suite's"

Ends = Callable[[float, float], tuple[float, float]]
"""Where the suite's range begins and ends -> where another does."""

RANGES: dict[str, Ends] = {
    "first quarter": lambda start, end: (start, start + (end - start) / 4),
    "lower half": lambda start, end: (start, (start + end) / 2),
    "upper half": lambda start, end: ((start + end) / 2, end),
    "whole, from 0": lambda start, end: (0.0, end),
}


def sensitivity(first: RecipeResults, second: RecipeResults) -> list[dict[str, Any]]:
    """Return the difference first - second in each view: a way to weigh attacks, and a range of their strengths.

    Each has ``attacks``, ``range``, ``seeds``, ``difference``, ``low`` and ``high``: paired by seed, with Student's 95%
    interval over seeds. The first is of the mean AUC. A seed enters that has every attack of the suite. Ranges other
    than the suite's are cut from the measured curves, linear between strengths, also where an attack found distances.
    """
    return [
        {"attacks": attacks, "range": range_} | {name: found[name] for name in ("seeds", "difference", "low", "high")}
        for (attacks, range_, ours), (_, _, theirs) in zip(_views(first), _views(second), strict=True)
        if len(seeds := differences(ours, theirs))
        for found in [difference(seeds, estimate(seeds, None))]
    ]


def auc_between(recipe: RecipeResults, ends: Ends) -> pd.DataFrame:
    """Return the AUC of other ranges from the measured curves, as ``RecipeResults.aucs``.

    Accuracy is linear between the strengths that were measured.
    """
    table = pd.DataFrame(np.nan, index=recipe.aucs.index, columns=recipe.aucs.columns)
    curves = recipe.taken[recipe.taken["attack"].isin(table.columns)]
    for (seed, attack), rows in curves.groupby(["seed", "attack"], sort=False):
        strengths, accuracies = rows["strength"].to_numpy(float), rows["accuracy"].to_numpy(float)
        low, high = ends(float(rows["range_from"].iloc[0]), strengths[-1])
        places = np.concatenate([[low], strengths[(strengths > low) & (strengths < high)], [high]])
        area = np.trapezoid(np.interp(places, strengths, accuracies), places)
        table.loc[seed, attack] = area / (high - low)
    return table


def _views(recipe: RecipeResults) -> Iterator[tuple[str, str, "pd.Series[float]"]]:
    """Return attacks, range and the number of each seed; the same views for all recipes of a setting."""
    auc, threats = recipe.aucs.dropna(), recipe.threats
    yield BY_GROUP, OF_SUITE, recipe.mean_aucs
    if len(auc.columns) > 1:
        yield EACH_THE_SAME, OF_SUITE, auc.mean(axis="columns")
    alone: dict[str, list[str]] = {}
    for attack in auc.columns.intersection(list(threats), sort=False):
        alone.setdefault(threats[attack].access, []).append(attack)
    if len(alone) > 1:
        for access, attacks in alone.items():
            yield f"only {THREATS[access]}", OF_SUITE, mean_aucs(auc[attacks], threats)
    if len(alone) > 2:
        for access, attacks in alone.items():
            yield f"without {THREATS[access]}", OF_SUITE, mean_aucs(auc.drop(columns=attacks), threats)
    for name, ends in RANGES.items():
        yield BY_GROUP, name, mean_aucs(auc_between(recipe, ends).loc[auc.index], threats)

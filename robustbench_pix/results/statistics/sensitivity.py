"""How the difference of two recipes changes with the weights of the attacks and with the ranges of their strengths."""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pandas as pd

from robustbench_pix.catalogue.specs import THREATS
from robustbench_pix.results.statistics.comparisons import difference
from robustbench_pix.results.statistics.estimates import estimate
from robustbench_pix.results.statistics.measured import RecipeResults, differences
from robustbench_pix.results.statistics.scoring import mean_aucs

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
    """Return the AUC of other ranges from the measured curves, as ``RecipeResults.robustness``.

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

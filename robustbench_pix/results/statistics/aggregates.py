"""One recipe over several combinations: the interquartile mean of its mean AUCs and how likely it is an improvement.

Definitions and bootstrap are those of Agarwal et al. 2021 (Deep Reinforcement Learning at the Edge of the Statistical
Precipice, arXiv 2108.13264), with combinations in place of tasks and seeds in place of runs.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from robustbench_pix.randomness import stream
from robustbench_pix.results.columns import row_key, typed
from robustbench_pix.results.derived_columns import AGGREGATES
from robustbench_pix.results.statistics.intervals import LEVEL
from robustbench_pix.results.statistics.measured import BASELINE, RecipeResults, Setting
from robustbench_pix.runs.request import EXTERNAL_SEED

Values = NDArray[np.floating]
Pair = tuple[RecipeResults, RecipeResults | None]
"""A recipe of a setting, and unregularized where it was measured."""

RESAMPLES = 2000
SUITE = ("suite", "suite_version", "protocol", "size", "precision")
"""What combinations must share for a mean over them."""


def aggregates(settings: Sequence[Setting]) -> pd.DataFrame:
    """Return the columns ``AGGREGATES``: a row a suite and recipe that has mean AUCs in at least two combinations.

    Models count once: rows of unregularized in several combinations are of the same models where only the images
    differ. The improvement is over the combinations that have mean AUCs of both.
    """
    found: dict[tuple[Any, ...], dict[str, list[Pair]]] = {}
    # Sorted, so that equal tables draw equal resamples whatever the order of their rows.
    for setting in sorted(settings, key=lambda setting: tuple(map(str, setting.key))):
        facts, baseline = setting.facts, setting.baseline
        suite = found.setdefault(row_key(facts, SUITE), {})
        baseline = baseline if baseline is not None and len(baseline.mean_aucs) else None
        for recipe in setting.recipes:
            if len(recipe.mean_aucs) and EXTERNAL_SEED not in recipe.mean_aucs.index:
                suite.setdefault(recipe.name, []).append((recipe, baseline))
    built = [
        dict(zip(SUITE, suite, strict=True)) | {"recipe": name} | _row(once, (*map(str, suite), name))
        for suite, by_name in found.items()
        for name, of_settings in by_name.items()
        if len(once := _once(of_settings)) > 1
    ]
    return typed(pd.DataFrame(built), AGGREGATES)


def interquartile_mean(mean_aucs: Values) -> Values:
    """Return the mean of the middle half along the last axis; of n values the n // 4 at each end are left out.

    >>> float(interquartile_mean(np.array([0.0, 1.0, 3.0, 99.0])))
    2.0
    """
    cut = mean_aucs.shape[-1] // 4
    return np.asarray(np.sort(mean_aucs, axis=-1)[..., cut : mean_aucs.shape[-1] - cut].mean(axis=-1))


def improvement(first: Values, second: Values) -> Values:
    """Return the probability that a value of the first exceeds one of the second, along the last axes; ties are halves.

    This is Mann and Whitney's U, divided by the number of pairs.
    """
    difference = first[..., :, None] - second[..., None, :]
    return np.asarray(((difference > 0) + (difference == 0) / 2).mean(axis=(-2, -1)))


def bootstrap(strata: Sequence[Values], *key: str) -> list[Values]:
    """Return resamples of each stratum, with replacement within it, each (``RESAMPLES``, values)."""
    random = stream("bootstrap", *key)
    return [values[random.integers(len(values), size=(RESAMPLES, len(values)))] for values in strata]


def _once(of_settings: list[Pair]) -> list[Pair]:
    """Drop settings whose models already appeared in an earlier one."""
    kept: dict[frozenset[str], Pair] = {}
    for recipe, baseline in of_settings:
        kept.setdefault(frozenset(recipe.taken["model_id"]), (recipe, baseline))
    return list(kept.values())


def _row(of_settings: list[Pair], key: tuple[str, ...]) -> dict[str, Any]:
    strata = [recipe.mean_aucs.to_numpy(float) for recipe, _ in of_settings]
    row: dict[str, Any] = {"combinations": len(strata), "models": sum(map(len, strata))}
    row["mean"] = float(interquartile_mean(np.concatenate(strata)))
    resampled = bootstrap(strata, *key)
    row["mean_low"], row["mean_high"] = _interval(interquartile_mean(np.concatenate(resampled, axis=1)))
    beside = {
        place: base for place, (recipe, base) in enumerate(of_settings) if base is not None and base is not recipe
    }
    if beside:
        baselines = [base.mean_aucs.to_numpy(float) for base in beside.values()]
        row["probability_of_improvement"] = float(_improvements([strata[place] for place in beside], baselines))
        redrawn = _improvements([resampled[place] for place in beside], bootstrap(baselines, *key, BASELINE))
        row["probability_of_improvement_low"], row["probability_of_improvement_high"] = _interval(redrawn)
    return row


def _improvements(strata: list[Values], baselines: list[Values]) -> Values:
    return np.asarray(np.mean([improvement(*pair) for pair in zip(strata, baselines, strict=True)], axis=0))


def _interval(statistics: Values) -> tuple[float, float]:
    """Return the percentile interval."""
    low, high = np.quantile(statistics, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return float(low), float(high)

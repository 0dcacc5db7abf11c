"""One recipe over several combinations: the interquartile mean of its scores and how likely it is an improvement.

Definitions and bootstrap are those of Agarwal et al. 2021 (Deep Reinforcement Learning at the Edge of the Statistical
Precipice, arXiv 2108.13264), with combinations in place of tasks and seeds in place of runs.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from robustbench_pix.randomness import stream
from robustbench_pix.results.columns import ACROSS
from robustbench_pix.results.frames import BLOCK, typed
from robustbench_pix.results.statistics.intervals import LEVEL
from robustbench_pix.results.statistics.measured import BASELINE, Recipe, blocks
from robustbench_pix.runs.request import GIVEN_SEED

Scores = NDArray[np.floating]
Pair = tuple[Recipe, Recipe | None]
"""A recipe of a block, and unregularized where it was measured."""

RESAMPLES = 2000
SUITE = ("suite", "suite_version", "protocol", "size", "precision")
"""What combinations must share for a mean over them."""


def across(measurements: pd.DataFrame, rows: pd.DataFrame) -> pd.DataFrame:
    """Return the columns ``ACROSS``: a row a suite and recipe that has scores in at least two combinations.

    Models count once: rows of unregularized in several combinations are of the same models where only the images
    differ. The improvement is over the combinations that have scores of both.

    Args:
        measurements: The columns ``MEASUREMENTS``.
        rows: As ``build_leaderboard`` takes them.
    """
    found: dict[tuple[Any, ...], dict[str, list[Pair]]] = {}
    # Sorted, so that equal tables draw equal resamples whatever the order of their rows.
    for block, recipes in sorted(blocks(measurements, rows), key=lambda found: tuple(map(str, found[0]))):
        facts = dict(zip(BLOCK, block, strict=True))
        suite = found.setdefault(tuple(facts[name] for name in SUITE), {})
        baseline = next((recipe for recipe in recipes if recipe.name == BASELINE and len(recipe.scores)), None)
        for recipe in recipes:
            if len(recipe.scores) and GIVEN_SEED not in recipe.scores.index:
                suite.setdefault(recipe.name, []).append((recipe, baseline))
    built = [
        dict(zip(SUITE, suite, strict=True)) | {"recipe": name} | _row(once, (*map(str, suite), name))
        for suite, by_name in found.items()
        for name, of_blocks in by_name.items()
        if len(once := _once(of_blocks)) > 1
    ]
    return typed(pd.DataFrame(built), ACROSS)


def interquartile_mean(scores: Scores) -> Scores:
    """Return the mean of the middle half along the last axis; of n values the n // 4 at each end are left out.

    >>> float(interquartile_mean(np.array([0.0, 1.0, 3.0, 99.0])))
    2.0
    """
    cut = scores.shape[-1] // 4
    return np.asarray(np.sort(scores, axis=-1)[..., cut : scores.shape[-1] - cut].mean(axis=-1))


def improvement(first: Scores, second: Scores) -> Scores:
    """Return the probability that a value of the first exceeds one of the second, along the last axes; ties are halves.

    This is Mann and Whitney's U, divided by the number of pairs.
    """
    difference = first[..., :, None] - second[..., None, :]
    return np.asarray(((difference > 0) + (difference == 0) / 2).mean(axis=(-2, -1)))


def bootstrap(strata: Sequence[Scores], *key: str) -> list[Scores]:
    """Return keyed resamples of each stratum, with replacement within it, each (``RESAMPLES``, values)."""
    random = stream("bootstrap", *key)
    return [values[random.integers(len(values), size=(RESAMPLES, len(values)))] for values in strata]


def _once(of_blocks: list[Pair]) -> list[Pair]:
    """Return the blocks without those whose models are the same as in one before."""
    kept: dict[frozenset[str], Pair] = {}
    for recipe, baseline in of_blocks:
        kept.setdefault(frozenset(recipe.taken["model_id"]), (recipe, baseline))
    return list(kept.values())


def _row(of_blocks: list[Pair], key: tuple[str, ...]) -> dict[str, Any]:
    strata = [recipe.scores.to_numpy(float) for recipe, _ in of_blocks]
    row: dict[str, Any] = {"combinations": len(strata), "models": sum(map(len, strata))}
    row["mean"] = float(interquartile_mean(np.concatenate(strata)))
    resampled = bootstrap(strata, *key)
    row["mean_low"], row["mean_high"] = _interval(interquartile_mean(np.concatenate(resampled, axis=1)))
    beside = {place: base for place, (recipe, base) in enumerate(of_blocks) if base is not None and base is not recipe}
    if beside:
        baselines = [base.scores.to_numpy(float) for base in beside.values()]
        row["improvement"] = float(_improvements([strata[place] for place in beside], baselines))
        redrawn = bootstrap(baselines, *key, BASELINE)
        row["improvement_low"], row["improvement_high"] = _interval(
            _improvements([resampled[place] for place in beside], redrawn)
        )
    return row


def _improvements(strata: list[Scores], baselines: list[Scores]) -> Scores:
    return np.asarray(np.mean([improvement(*pair) for pair in zip(strata, baselines, strict=True)], axis=0))


def _interval(statistics: Scores) -> tuple[float, float]:
    """Return the percentile interval."""
    low, high = np.quantile(statistics, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return float(low), float(high)

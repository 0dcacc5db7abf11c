"""One recipe under one attack: robustness with its interval, and the strength at which the accuracy has halved."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from robustbench_pix.results.derived_columns import AUC_PREFIX, AUCS
from robustbench_pix.results.frames import typed
from robustbench_pix.results.statistics.estimates import Sampled, estimate
from robustbench_pix.results.statistics.intervals import student_interval
from robustbench_pix.results.statistics.measured import RecipeResults, Setting, normalized_areas
from robustbench_pix.results.statistics.sampling import Sampling, SettingSampling


def build_aucs(found: Sequence[Setting], sampling: pd.DataFrame | None = None) -> pd.DataFrame:
    """Return the columns ``ROBUSTNESS``: a row a setting, recipe and attack with strengths, the worst case last.

    Args:
        found: The settings of a board; the seeds are those that enter the rows of its leaderboard.
        sampling: The columns ``SAMPLING``; where a setting is absent, intervals are over seeds alone.
    """
    built: list[dict[str, Any]] = []
    known = Sampling(sampling)
    for setting in found:
        for recipe in setting.recipes:
            facts = setting.facts | {"recipe": recipe.name}
            built += [facts | row for row in _of_attacks(recipe, known.of(setting))]
    return typed(pd.DataFrame(built), AUCS)


def eps50(strengths: NDArray[np.float64], accuracies: NDArray[np.float64]) -> float:
    """Return the smallest strength at which the accuracy is half of the clean one, linear between strengths.

    NaN where it stays above half up to the largest strength.

    Args:
        strengths: ascending from 0.
        accuracies: at these strengths.

    >>> round(eps50(np.array([0.0, 0.1, 0.3]), np.array([0.8, 0.5, 0.3])), 6)
    0.2
    """
    half = accuracies[0] / 2
    below = np.flatnonzero(accuracies <= half)
    if not len(below) or accuracies[0] == 0:
        return math.nan
    end = below[0]
    share = (accuracies[end - 1] - half) / (accuracies[end - 1] - accuracies[end])
    return float(strengths[end - 1] + share * (strengths[end] - strengths[end - 1]))


def _of_attacks(recipe: RecipeResults, sampling: SettingSampling) -> list[dict[str, Any]]:
    curves = pd.concat([recipe.taken[recipe.taken["strength"].notna()], recipe.worst])
    curves = curves[curves["seed"].isin(recipe.shown)]
    areas = normalized_areas(curves, "attack").unstack("attack")
    indices: Any = curves.groupby(["seed", "attack"]).indices
    strengths, accuracies = curves["strength"].to_numpy(float), curves["accuracy"].to_numpy(float)
    halves: dict[str, list[float]] = {str(attack): [] for attack in curves["attack"].unique()}
    for (_, attack), places in indices.items():
        halves[attack].append(eps50(strengths[places], accuracies[places]))
    kinds = dict(zip(curves["attack"], curves["strength_kind"], strict=True))
    inflation = curves.drop_duplicates(["seed", "attack"]).groupby("attack")["distance_inflation"].mean()
    return [
        {"attack": attack, "strength_kind": kinds[attack], "distance_inflation": inflation[attack]}
        | _row(
            areas[attack].dropna().to_numpy(float),
            np.array(found),
            sampling.own(AUC_PREFIX + attack, recipe.name),
        )
        for attack, found in halves.items()
    ]


def _row(areas: NDArray[np.float64], halves: NDArray[np.float64], sampled: Sampled | None) -> dict[str, Any]:
    """Return the numbers of one attack, from robustness and eps50 (NaN: not reached) of each seed."""
    found = estimate(areas, sampled)
    row: dict[str, Any] = {"seeds": len(areas), "auc": found.mean, "eps50": float(halves.mean())}
    row |= {"standard_error": found.standard_error, "eps50_seeds": int(np.isfinite(halves).sum())}
    row |= found.named("")
    row["eps50_low"], row["eps50_high"] = student_interval(halves)
    return row

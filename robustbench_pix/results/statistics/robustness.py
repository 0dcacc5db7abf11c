"""One recipe under one attack: robustness with its interval, and the strength at which the accuracy has halved."""

import math
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from robustbench_pix.results.columns import ROBUSTNESS
from robustbench_pix.results.frames import BLOCK, typed
from robustbench_pix.results.statistics.intervals import standard_error, student_interval
from robustbench_pix.results.statistics.measured import Recipe, blocks, normalized_areas


def build_robustness(measurements: pd.DataFrame, rows: pd.DataFrame) -> pd.DataFrame:
    """Return the columns ``ROBUSTNESS``: a row a block, recipe and attack with strengths, the worst case last.

    Args:
        measurements: The columns ``MEASUREMENTS``.
        rows: As ``build_leaderboard`` takes them; the seeds are those that enter its rows.
    """
    built: list[dict[str, Any]] = []
    for block, recipes in blocks(measurements, rows):
        for recipe in recipes:
            facts = dict(zip(BLOCK, block, strict=True)) | {"recipe": recipe.name}
            built += [facts | row for row in _of_attacks(recipe)]
    return typed(pd.DataFrame(built), ROBUSTNESS)


def halving_strength(strengths: NDArray[np.float64], accuracies: NDArray[np.float64]) -> float:
    """Return the smallest strength at which the accuracy is half of the clean one, linear between strengths.

    NaN where it stays above half up to the largest strength.

    Args:
        strengths: ascending from 0.
        accuracies: at these strengths.

    >>> round(halving_strength(np.array([0.0, 0.1, 0.3]), np.array([0.8, 0.5, 0.3])), 6)
    0.2
    """
    half = accuracies[0] / 2
    below = np.flatnonzero(accuracies <= half)
    if not len(below) or accuracies[0] == 0:
        return math.nan
    end = below[0]
    share = (accuracies[end - 1] - half) / (accuracies[end - 1] - accuracies[end])
    return float(strengths[end - 1] + share * (strengths[end] - strengths[end - 1]))


def _of_attacks(recipe: Recipe) -> list[dict[str, Any]]:
    curves = pd.concat([recipe.taken[recipe.taken["strength"].notna()], recipe.worst])
    curves = curves[curves["seed"].isin(recipe.shown)]
    areas = normalized_areas(curves, "attack").unstack("attack")
    indices: Any = curves.groupby(["seed", "attack"]).indices
    strengths, accuracies = curves["strength"].to_numpy(float), curves["accuracy"].to_numpy(float)
    halves: dict[str, list[float]] = {str(attack): [] for attack in curves["attack"].unique()}
    for (_, attack), places in indices.items():
        halves[attack].append(halving_strength(strengths[places], accuracies[places]))
    kinds = dict(zip(curves["attack"], curves["strength_kind"], strict=True))
    return [
        {"attack": attack, "strength_kind": kinds[attack]}
        | _row(areas[attack].dropna().to_numpy(float), np.array(found))
        for attack, found in halves.items()
    ]


def _row(areas: NDArray[np.float64], halves: NDArray[np.float64]) -> dict[str, Any]:
    """Return the numbers of one attack, from robustness and halving strength (NaN: not reached) of each seed."""
    row: dict[str, Any] = {"seeds": len(areas), "robustness": float(areas.mean()), "halving": float(halves.mean())}
    row |= {"standard_error": standard_error(areas), "halved_seeds": int(np.isfinite(halves).sum())}
    row["low"], row["high"] = student_interval(areas)
    row["halving_low"], row["halving_high"] = student_interval(halves)
    return row

"""One recipe under one attack: AUC with its interval, eps50, the curve of accuracy over perturbation size."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from robustbench_pix.results.columns import KEY, SETTING, typed
from robustbench_pix.results.derived_columns import AUC_PREFIX, AUCS
from robustbench_pix.results.statistics.intervals import LEVEL, Sampled, estimate, student_interval
from robustbench_pix.results.statistics.measured import RecipeResults, Setting, normalized_areas
from robustbench_pix.results.statistics.sampling import Sampling, SettingSampling


def build_aucs(found: Sequence[Setting], sampling: pd.DataFrame | None = None) -> pd.DataFrame:
    """Return the columns ``AUCS``: a row a setting, recipe and attack with strengths, the worst case last.

    Arguments as of ``build_leaderboard``; the seeds are those that enter its rows.
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
        | _row(areas[attack].dropna().to_numpy(float), np.array(found), sampling.own(AUC_PREFIX + attack, recipe.name))
        for attack, found in halves.items()
    ]


def _row(areas: NDArray[np.float64], halves: NDArray[np.float64], sampled: Sampled | None) -> dict[str, Any]:
    """Return the numbers of one attack, from AUC and eps50 (NaN: not reached) of each seed."""
    found = estimate(areas, sampled)
    row: dict[str, Any] = {"seeds": len(areas), "auc": found.mean, "eps50": float(halves.mean())}
    row |= {"standard_error": found.standard_error, "eps50_seeds": int(np.isfinite(halves).sum())}
    row |= found.named("")
    row["eps50_low"], row["eps50_high"] = student_interval(halves)
    return row


POINT = [*KEY, "attack", "strength"]


def strength_curves(measurements: pd.DataFrame, leaderboard: pd.DataFrame | None = None) -> pd.DataFrame:
    """Return a row a recipe, setting, attack and strength: the mean accuracy over seeds, and how sure it is.

    Only the seeds that entered a row of the leaderboard enter its curves; where none did, all that were measured do,
    as in the row. Attacks that report a distance only have no curve.

    Args:
        measurements: The columns ``MEASUREMENTS``.
        leaderboard: As ``build_leaderboard`` returns it; without it all measured seeds enter.

    Returns:
        ``KEY``, attack, strength, access, strength_kind, accuracy, seeds, standard_error (the standard deviation with
        n - 1, divided by the root of n), low and high (Student's 95% interval); the last three are NaN for one seed.
    """
    from scipy.special import stdtrit

    chosen = measurements[measurements["strength"].notna()]
    if leaderboard is not None:
        entered = [tuple(filter(None, seeds.split(","))) for seeds in leaderboard["seed_list"]]
        chosen = chosen.merge(leaderboard[KEY].assign(entered=pd.Series(entered, leaderboard.index, object)), on=KEY)
        pairs = zip(chosen["seed"], chosen["entered"], strict=True)
        chosen = chosen[np.array([not seeds or str(seed) in seeds for seed, seeds in pairs], dtype=bool)]
    found = chosen.groupby(POINT, sort=False).agg(
        access=("access", "first"),
        strength_kind=("strength_kind", "first"),
        accuracy=("accuracy", "mean"),
        deviation=("accuracy", "std"),
        seeds=("accuracy", "size"),
    )
    count = found["seeds"].to_numpy(float)
    found = found.assign(standard_error=found["deviation"] / np.sqrt(count))
    half = stdtrit(np.where(count > 1, count - 1, np.nan), (1 + LEVEL) / 2) * found["standard_error"]
    found = found.assign(low=found["accuracy"] - half, high=found["accuracy"] + half).drop(columns="deviation")
    return found.reset_index().sort_values([*SETTING, "attack", "recipe", "strength"], kind="stable", ignore_index=True)


def distances(measurements: pd.DataFrame) -> pd.DataFrame:
    """Return a row a recipe and attack that reports a distance only: ``distance``, ``standard_error``, ``seeds``.

    The distance of a seed is the median squared L2 norm an entry of the image.
    """
    alone = measurements[measurements["strength"].isna()]
    of_seeds = alone.groupby([*KEY, "attack"], sort=False)["median_squared_l2_per_pixel"].agg(["mean", "std", "count"])
    of_seeds["std"] /= np.sqrt(of_seeds["count"])
    return of_seeds.reset_index().rename(columns={"mean": "distance", "std": "standard_error", "count": "seeds"})

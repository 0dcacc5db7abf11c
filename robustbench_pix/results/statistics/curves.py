"""Accuracy against strength, over seeds, and the distances of attacks that report nothing else."""

import numpy as np
import pandas as pd

from robustbench_pix.results.frames import KEY, SETTING
from robustbench_pix.results.statistics.intervals import LEVEL

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
        chosen = chosen.merge(_entered(leaderboard), on=KEY)
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


def _entered(leaderboard: pd.DataFrame) -> pd.DataFrame:
    seeds = [tuple(filter(None, text.split(","))) for text in leaderboard["seed_list"]]
    return leaderboard[KEY].assign(entered=pd.Series(seeds, index=leaderboard.index, dtype=object))

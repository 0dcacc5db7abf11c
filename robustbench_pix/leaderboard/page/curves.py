"""Accuracy against strength, aggregated: one line a recipe, block and attack, with its band over seeds."""

import numpy as np
import pandas as pd

from robustbench_pix.results.frames import BLOCK, KEY
from robustbench_pix.results.statistics.intervals import LEVEL

POINT = [*KEY, "attack", "strength"]


def curves(leaderboard: pd.DataFrame, measurements: pd.DataFrame) -> pd.DataFrame:
    """Return a row a recipe, block, attack and strength: mean accuracy, and Student's 95% interval over seeds.

    Only the seeds that entered a row of the leaderboard enter its curves; where none did, all that were measured do,
    as in the row. Attacks that report a distance only have no curve.

    Returns:
        ``KEY``, attack, strength, access, strength_kind, mean, low, high, seeds; low and high are NaN for one seed.
    """
    from scipy.special import stdtrit

    chosen = measurements[measurements["strength"].notna()].merge(_entered(leaderboard), on=KEY)
    pairs = zip(chosen["seed"], chosen["entered"], strict=True)
    chosen = chosen[np.array([not seeds or str(seed) in seeds for seed, seeds in pairs], dtype=bool)]
    points = chosen.groupby(POINT, sort=False).agg(
        access=("access", "first"),
        strength_kind=("strength_kind", "first"),
        mean=("accuracy", "mean"),
        deviation=("accuracy", "std"),
        seeds=("accuracy", "size"),
    )
    count = points["seeds"].to_numpy(float)
    several = np.where(count > 1, count, np.nan)
    half = stdtrit(several - 1, (1 + LEVEL) / 2) * points["deviation"] / np.sqrt(several)
    found = points.assign(low=points["mean"] - half, high=points["mean"] + half).drop(columns="deviation")
    return found.reset_index().sort_values([*BLOCK, "attack", "recipe", "strength"], kind="stable", ignore_index=True)


def _entered(leaderboard: pd.DataFrame) -> pd.DataFrame:
    seeds = [tuple(filter(None, text.split(","))) for text in leaderboard["seed_list"]]
    return leaderboard[KEY].assign(entered=pd.Series(seeds, index=leaderboard.index, dtype=object))

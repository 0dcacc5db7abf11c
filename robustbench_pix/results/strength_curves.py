"""Accuracy against strength: mean and standard error over seeds, as the paper's figures show them."""

import numpy as np
import pandas as pd

from robustbench_pix.results.frames import KEY

CURVE = [*KEY, "attack", "strength_kind", "strength"]


def strength_curves(measurements: pd.DataFrame) -> pd.DataFrame:
    """Return one row a recipe, attack and strength: ``accuracy``, ``standard_error`` and ``seeds``, how many.

    The standard error is the standard deviation over seeds, with n - 1, divided by sqrt(n); NaN for one seed.
    """
    return _over_seeds(measurements[measurements["strength"].notna()], CURVE, "accuracy")


def distances(measurements: pd.DataFrame) -> pd.DataFrame:
    """Return one row a recipe and attack that reports a distance only: ``distance``, ``standard_error``, ``seeds``.

    The distance of a seed is the median squared L2 norm an entry of the image.
    """
    alone = measurements[measurements["strength"].isna()]
    return _over_seeds(alone.rename(columns={"median_squared_l2_per_pixel": "distance"}), [*KEY, "attack"], "distance")


def _over_seeds(rows: pd.DataFrame, by: list[str], value: str) -> pd.DataFrame:
    of_seeds = rows.groupby(by, sort=False)[value].agg(["mean", "std", "count"]).reset_index()
    of_seeds["std"] /= np.sqrt(of_seeds["count"])
    return of_seeds.rename(columns={"mean": value, "std": "standard_error", "count": "seeds"})

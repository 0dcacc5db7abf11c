"""What each test image adds to the area under the accuracy, and to the clean accuracy: the unit that is sampled."""

from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

AUC, CLEAN = "auc", "clean"


def image_areas(examples: pd.DataFrame, attack: dict[str, Any]) -> pd.DataFrame:
    """Return ``auc`` and ``clean`` of every judged image by its test index, in [0, 1], means over repetitions.

    At given strengths ``auc`` is the normalized area under ``correct`` (0 or 1), linear between strengths; of an attack
    that searches the nearest adversarial it is (min(d, end) - min(d, start)) / (end - start), with distance d, which is
    0 for an image that is wrong without attack. Their means are exactly the normalized area and the clean accuracy of
    the measurements. NaN under an attack without strengths.

    Args:
        examples: as ``evaluate`` returns them.
        attack: the attack's specification: ``strength``, ``strengths``, and ``range_from``, 0 where absent.
    """
    index = examples["index"].to_numpy()
    place = index - index.min()
    strengths, start = attack["strengths"], float(attack.get("range_from", 0.0))
    if "distance_at_half" in examples:
        norm = "linf" if attack["strength"] == "linf" else "l2"
        right = (examples["label"] == examples["clean_prediction"]).to_numpy()
        distance = np.where(right, examples[norm].to_numpy(float), 0.0)
        clean = (distance > 0).astype(float)
        if not strengths:
            clean, auc = right.astype(float), np.full(len(right), np.nan)
        else:
            auc = (np.minimum(distance, strengths[-1]) - np.minimum(distance, start)) / (strengths[-1] - start)
        rows = np.bincount(place)
    else:
        weights = quadrature(np.array(strengths, float), start) / (strengths[-1] - start)
        at = np.searchsorted(strengths, examples["strength"].to_numpy())
        correct = examples["correct"].to_numpy(float)
        auc, clean = correct * weights[at], correct * (at == 0)
        rows = np.bincount(place[at == 0], minlength=place.max() + 1)
    judged = np.flatnonzero(rows)
    means = {name: np.bincount(place, values)[judged] / rows[judged] for name, values in ((AUC, auc), (CLEAN, clean))}
    return pd.DataFrame(means, index=judged + index.min())


def quadrature(strengths: NDArray[np.float64], start: float) -> NDArray[np.float64]:
    """Return the weight of the value at each strength in the area from ``start`` on, linear between strengths.

    >>> quadrature(np.array([0.0, 1.0, 3.0]), 0.0).tolist(), quadrature(np.array([0.0, 1.0, 3.0]), 2.0).tolist()
    ([0.5, 1.5, 1.0], [0.0, 0.25, 0.75])
    """
    weights = np.zeros(len(strengths))
    for place, (low, high) in enumerate(pairwise(strengths)):
        left = max(low, start)
        if left < high:
            share = (left - low) / (high - low)
            weights[place] += (high - left) / 2 * (1 - share)
            weights[place + 1] += (high - left) / 2 * (1 + share)
    return weights

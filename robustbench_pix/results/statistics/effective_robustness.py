"""Effective robustness: the mean AUC beyond what the clean accuracy predicts, with chance level taken out.

Taori et al. 2020 (Measuring Robustness to Natural Distribution Shifts in Image Classification, arXiv 2007.00644) call
effective robustness the accuracy under shift beyond that which the clean accuracy predicts. Their prediction is a
log-linear fit over many models. Ours is the straight line through two classifiers, since a setting has few models: the
best constant answer, which no perturbation can change, and ``unregularized``.
"""

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from robustbench_pix.results.statistics.measured import RecipeResults, differences

EFFECTIVE = "effective_robustness"


def effective_robustness(recipe: RecipeResults, baseline: RecipeResults) -> NDArray[np.float64]:
    """Return (S - c) - (K - k) (S_u - c) / (K_u - k) of each seed that both recipes have.

    S is the mean AUC, K the clean accuracy, c and k what the best constant answer gets of either on the same images; u
    marks the baseline. A model that gives the best constant answer for any share of the images, and else the baseline's
    answer, has exactly 0 where all attacks judge the same images; where some judge fewer, c is that of the class most
    frequent among those, so that it has at most 0.
    """
    expected = (recipe.chance_mean_auc + _retained(baseline) * (recipe.clean_accuracy - recipe.chance)).dropna()
    return differences(recipe.mean_aucs, expected)


def slopes(recipe: RecipeResults, baseline: RecipeResults) -> pd.DataFrame:
    """Return the derivatives by S, K, S_u and K_u, a row a seed of both; for the variance over test images."""
    retained = _retained(baseline)
    lift = (recipe.clean_accuracy - recipe.chance) / (baseline.clean_accuracy - baseline.chance)
    found = pd.DataFrame({"S": 1.0, "K": -retained, "S_u": -lift, "K_u": lift * retained})
    return found.loc[found.index.intersection(recipe.mean_aucs.index)].dropna()


def _retained(baseline: RecipeResults) -> "pd.Series[float]":
    """Return the share of what lies above chance that the baseline retains; NaN where its accuracy is at chance."""
    above = baseline.clean_accuracy - baseline.chance
    return (baseline.mean_aucs - baseline.chance_mean_auc) / above.where(above > 0)

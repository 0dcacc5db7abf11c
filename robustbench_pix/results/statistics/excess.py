"""Robustness beyond what the clean accuracy predicts, so that models of different clean accuracy can be compared."""

import numpy as np
from numpy.typing import NDArray

from robustbench_pix.results.statistics.measured import Recipe, differences


def excess(recipe: Recipe, baseline: Recipe) -> NDArray[np.float64]:
    """Return score - clean accuracy x (score / clean accuracy of the baseline), for each seed that both have.

    The prediction is what a model of this clean accuracy would score if it lost the same share under attack as the
    unregularized model of the same seed. A recipe that is merely less accurate, or merely more, has no excess.
    """
    retained = (baseline.scores / baseline.clean_accuracy).dropna()
    expected = (recipe.clean_accuracy * retained).dropna()
    return differences(recipe.scores, expected)

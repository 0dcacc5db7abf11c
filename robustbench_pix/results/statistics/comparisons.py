"""Every claim of a setting beside its references: unregularized and, for a recipe with controls, each of them."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from robustbench_pix.results.derived_columns import COMPARISONS
from robustbench_pix.results.frames import typed
from robustbench_pix.results.statistics.estimates import Estimate
from robustbench_pix.results.statistics.intervals import detectable_difference, sign_flip_p_value
from robustbench_pix.results.statistics.measured import RecipeResults, Setting, paired
from robustbench_pix.results.statistics.sampling import Sampling
from robustbench_pix.results.statistics.verdicts import verdicts


def build_comparisons(found: Sequence[Setting], sampling: pd.DataFrame | None = None) -> pd.DataFrame:
    """Return the columns ``COMPARISONS``: a row a setting, recipe and reference that have a seed in common.

    Verdicts and adjusted p-values are those of ``verdicts``: of all pairs of the setting, not only of these rows. The
    exact sign-flip test assumes less, but has a smallest p of 2 / 2^n, which no correction survives; it is a number
    beside the verdict.

    Args:
        found: The settings of a board, as ``settings`` returns them.
        sampling: The columns ``SAMPLING``; where a setting is absent, variances are over seeds alone.
    """
    built: list[dict[str, Any]] = []
    known = Sampling(sampling)
    for setting in found:
        compared = verdicts(setting.recipes, known.of(setting))
        for recipe, reference, role in _pairs(setting):
            if one := compared.get((recipe.name, reference.name)):
                facts = {"recipe": recipe.name, "reference": reference.name, "role": role}
                told = {"p_adjusted": one.p_adjusted, "verdict": one.verdict}
                numbers = difference(paired(recipe, reference), one.difference)
                built.append(setting.facts | facts | numbers | told)
    return typed(pd.DataFrame(built), COMPARISONS)


def difference(differences: NDArray[np.float64], estimated: Estimate) -> dict[str, Any]:
    """Return what paired differences and their estimate say, under the names of ``COMPARISONS``."""
    return {
        "seeds": len(differences),
        "difference": estimated.mean,
        "standard_error": estimated.standard_error,
        **estimated.named(""),
        "p_value": sign_flip_p_value(differences),
        "detectable": detectable_difference(differences),
    }


def _pairs(setting: Setting) -> Iterator[tuple[RecipeResults, RecipeResults, str]]:
    """Return recipe, reference and role: first every recipe beside unregularized, then those that have controls."""
    if (baseline := setting.baseline) is not None:
        yield from ((recipe, baseline, "baseline") for recipe in setting.recipes if recipe is not baseline)
    for recipe in setting.recipes:
        yield from ((recipe, other, "control") for other in setting.recipes if other.requested.controls == recipe.name)


def short(p_value: float) -> str:
    """Return a p-value with two digits and no leading zero.

    >>> short(0.0312), short(1.0)
    ('.031', '1')
    """
    return f"{p_value:.2g}".replace("0.", ".", 1)

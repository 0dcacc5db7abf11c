"""The remark that the trainings of a recipe have not converged, from their summary and from clean accuracies."""

from collections.abc import Mapping

import pandas as pd

from robustbench_pix.results.columns import KEY, MODEL, row_keys
from robustbench_pix.results.statistics.measured import RecipeResults
from robustbench_pix.runs.request import EXTERNAL_SEED

USUAL_SHARE = 0.9
"""Of the mean clean accuracy of ``unregularized``: what tuning asks of a recipe at least."""

FLAGGED_SHARE = 0.5
"""A row has the remark where so many of its models have not converged."""

StillFalling = Mapping[tuple[object, ...], str]
"""What still falls at the end of a training, by the values of ``MODEL``."""


def still_falling(trainings: pd.DataFrame | None) -> StillFalling:
    """Return what still falls at the end of each training that is known; of the columns ``TRAININGS``."""
    if trainings is None or trainings.empty:
        return {}
    return dict(zip(row_keys(trainings, MODEL), trainings["still_falls"], strict=True))


def not_converged(recipe: RecipeResults, baseline: RecipeResults | None, falling: StillFalling) -> str:
    """Return the remark on a recipe of which at least half of the models have not converged, else "".

    A model has not if its penalty or its validation loss still falls at the end, or if its clean accuracy is below
    ``USUAL_SHARE`` of the mean of the baseline. External models were not trained here.
    """
    accuracies = recipe.clean_accuracy[[seed for seed in recipe.clean.index if seed != EXTERNAL_SEED]]
    key = tuple(getattr(recipe.requested, name) for name in KEY)
    falls = {seed: falling.get((*key, seed), "").split(", ") for seed in accuracies.index}
    reasons = {f"the {name} still falls": _with(falls, name) for name in ("penalty", "validation loss")}
    if baseline is not None and recipe.name != baseline.name:
        usual = float(baseline.clean_accuracy.mean())
        low = {seed for seed, accuracy in accuracies.items() if accuracy < USUAL_SHARE * usual}
        reasons[f"the clean accuracy is below {USUAL_SHARE:g} times the {usual:.3f} of {baseline.name}"] = low
    concerned = set[object]().union(*reasons.values())
    if not concerned or len(concerned) < FLAGGED_SHARE * len(accuracies):
        return ""
    told = ", ".join(f"{reason} ({len(seeds)})" for reason, seeds in reasons.items() if seeds)
    return f"training: not converged in {len(concerned)} of {len(accuracies)} models: {told}"


def _with(falls: Mapping[object, list[str]], name: str) -> set[object]:
    return {seed for seed, named in falls.items() if name in named}

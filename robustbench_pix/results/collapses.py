"""The collapse of learned layer weights beside the outcome: models of a recipe, by the layer that is left."""

from collections.abc import Sequence

import pandas as pd

from robustbench_pix.results.columns import KEY
from robustbench_pix.results.statistics.measured import Setting

COLLAPSES = (*KEY, "collapsed_on", "models", "seed_list", "clean_accuracy", "mean_auc")


def collapses(settings: Sequence[Setting], trainings: pd.DataFrame) -> pd.DataFrame:
    """Return the columns ``COLLAPSES``: a row a recipe with learned layer weights and a layer that they collapsed on.

    Clean accuracy and mean AUC are means over the models of the row; those without a mean AUC are left out.

    Args:
        settings: those of a board.
        trainings: the columns ``TRAININGS``.
    """
    learned = trainings[trainings["collapsed_on"] != ""]
    found = []
    for setting in settings:
        for recipe in setting.recipes:
            numbers = pd.DataFrame({"mean_auc": recipe.mean_aucs, "clean_accuracy": recipe.clean_accuracy})
            key = {**setting.facts, "recipe": recipe.name}
            own = learned[(learned[KEY] == pd.Series(key)[KEY]).all(axis="columns")].set_index("seed")
            outcome = own[["collapsed_on"]].join(numbers, how="inner").dropna()
            for layer, models in outcome.groupby("collapsed_on"):
                row = {"collapsed_on": layer, "models": len(models), "seed_list": ",".join(map(str, models.index))}
                found.append({**key, **row, **models[["clean_accuracy", "mean_auc"]].mean()})
    return pd.DataFrame(found, columns=list(COLLAPSES))

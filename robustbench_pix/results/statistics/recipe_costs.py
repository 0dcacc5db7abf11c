"""What a recipe costs in seconds: the training of a model and the attacks on it."""

import pandas as pd

from robustbench_pix.results.columns import RECIPE_COSTS, WORST_CASE
from robustbench_pix.results.frames import KEY, typed


def recipe_costs(measurements: pd.DataFrame, costs: pd.DataFrame) -> pd.DataFrame:
    """Return the columns ``RECIPE_COSTS``: a row a recipe and block with measurements, means over its models.

    Runs are found in costs by ``model_id`` and ``attack_id``; where one of a recipe is missing, so is the mean. A given
    model was not trained here: it costs its attacks.

    Args:
        measurements: The columns ``MEASUREMENTS``.
        costs: The columns ``COSTS``.
    """
    seconds = costs.set_index(["kind", "id"])["seconds"]
    training = pd.concat([seconds.get("train", seconds.iloc[:0]), 0 * seconds.get("given", seconds.iloc[:0])])
    runs = measurements[measurements["attack"] != WORST_CASE]
    runs = runs[[*KEY, "model_id", "attack_id"]].drop_duplicates()
    runs = runs.assign(attack_seconds=runs["attack_id"].map(seconds.get("attack", training.iloc[:0])).astype(float))
    by_model = runs.groupby([*KEY, "model_id"], sort=False)["attack_seconds"]
    models = by_model.sum(min_count=1).where(by_model.count() == by_model.size()).reset_index()
    models["training_seconds"] = models["model_id"].map(training).astype(float)
    models["seconds"] = models["training_seconds"] + models["attack_seconds"]
    grouped = models.groupby(KEY, sort=False)
    names = ["training_seconds", "attack_seconds", "seconds"]
    means = grouped[names].mean().where(grouped[names].count().eq(grouped.size(), axis="index"))
    return typed(means.assign(seeds=grouped.size()).reset_index(), RECIPE_COSTS)

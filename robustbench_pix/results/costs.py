"""What runs and recipes cost in seconds."""

from collections.abc import Mapping
from typing import Any

import pandas as pd

from robustbench_pix.results.columns import COSTS, KEY, WORST_CASE, names, typed
from robustbench_pix.results.derived_columns import RECIPE_COSTS
from robustbench_pix.runs.plan_store import CHECK, Rows
from robustbench_pix.runs.store import Store


def titles(facts: Mapping[str, Any], seed: int, attack: str) -> dict[str, list[str]]:
    """Return what the runs behind a cell may be called, by their kind; ``facts`` has the columns ``KEY``.

    An unregularized training belongs to the task, whatever the images; an external model has no seed.
    """
    recipe, task = facts["recipe"], facts["task"]
    size = "" if facts["size"] == "full" else f", {facts['size']}"
    data, task = f"{task}:{facts['regularization_data']}{size}", f"{task}{size}"
    places = [f"{data}, seed {seed}", f"{task}, seed {seed}", task]
    return {
        "train": [f"train {recipe} on {place}" for place in places[:2]],
        "given": [f"keep {recipe} on {places[2]}"],
        "attack": [f"{attack} on {recipe}, {place}" for place in places],
        "check": [f"{CHECK} on {recipe}, {place}" for place in places],
    }


def recipe_costs(measurements: pd.DataFrame, costs: pd.DataFrame) -> pd.DataFrame:
    """Return the columns ``RECIPE_COSTS``: a row a recipe and setting with measurements, means over its models.

    Runs (``COSTS``) are found by the ``model_id`` and ``attack_id`` of ``MEASUREMENTS``; where one of a recipe is
    missing, so is the mean. An external model was not trained here: it costs its attacks.
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


def costs(rows: Rows, store: Store) -> pd.DataFrame:
    """Return what the runs behind rows cost, each run once."""
    attacks = [run.run for row in rows for run in row.finished(store)]
    runs = dict.fromkeys(name for attack in attacks for name in (*store.spec(attack)["needs"], attack))
    called = _called(rows)
    lines = []
    for name in runs:
        if store.fault(name) is None:
            spec = store.spec(name)
            kind, _, identifier = name.partition("-")
            what, others = spec["context"]["title"], called.get(name)
            what = others[0] if others and what not in others else what
            facts = {key: spec[key] for key in ("seconds", "device", "processor")}
            lines.append({"kind": kind, "id": identifier, "what": what, **facts})
    return pd.DataFrame(lines, columns=names(COSTS))


def _called(rows: Rows) -> dict[str, list[str]]:
    """Return what runs may be called; one that was made for a row of another name is called after one of these."""
    called: dict[str, list[str]] = {}
    for row in rows:
        for planned in row.runs:
            known = titles(row.facts, planned.seed, planned.attack)
            for run in (planned.model, planned.run):
                called.setdefault(run, []).extend(known.get(run.partition("-")[0], []))
    return called

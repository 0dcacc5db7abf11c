"""What trainings.csv cannot say of a published model, and what the logs of its training say again."""

from functools import partial

import pandas as pd

from robustbench_pix.results.checks.findings import Finding, found
from robustbench_pix.results.columns import MODEL, TRAININGS, row_keys, typed
from robustbench_pix.results.trainings import COLLAPSED, NONE, SHARE_STILL_FALLING, facts_of_run
from robustbench_pix.runs.store import Store

FILE = "trainings.csv"


def false_trainings(trainings: pd.DataFrame, measurements: pd.DataFrame) -> list[Finding]:
    """Return the trainings of no measured model, and what in a row cannot be true at once; columns ``TRAININGS``."""
    wrong = partial(found, FILE, trainings)
    models = set(row_keys(measurements, [*MODEL, "model_id"]))
    other = [key not in models for key in row_keys(trainings, [*MODEL, "model_id"])]
    layer, weight, since = (trainings[name] for name in ("collapsed_on", "layer_weight", "collapsed_from"))
    collapsed = weight >= COLLAPSED
    learned = layer != ""
    findings = [
        *wrong(other, "model_id", "{model_id} is not what measurements.csv says of {recipe}, seed {seed}"),
        *wrong(trainings.duplicated(MODEL), "seed", "{recipe}, seed {seed}, stands there twice"),
        *wrong(learned != weight.notna(), "layer_weight", "a layer and its weight must be there together"),
        *wrong(learned & (collapsed == (layer == NONE)), "collapsed_on", "{collapsed_on} is not of the weight"),
        *wrong(collapsed != since.notna(), "collapsed_from", "an epoch belongs to a collapse, and to nothing else"),
    ]
    for name in ("best_epoch", "collapsed_from"):
        late = (trainings[name] > trainings["epochs"]).fillna(False).astype(bool)
        findings += wrong(late, name, f"{{{name}}} is after the last of {{epochs}} epochs")
    for curve in ("penalty", "validation loss"):
        column = f"{curve.replace(' ', '_')}_fall"
        named = trainings["still_falls"].str.split(", ").map(lambda names, curve=curve: curve in names).astype(bool)
        too_little = named & ~(trainings[column] > SHARE_STILL_FALLING)
        findings += wrong(too_little, "still_falls", f"a fall by {{{column}:.10g}} is none of the {curve}")
    return findings


def trainings_again(measurements: pd.DataFrame, store: Store) -> pd.DataFrame:
    """Return the rows of trainings.csv of the measured models of which a store has the log, undamaged."""
    models = measurements.drop_duplicates(MODEL)[[*MODEL, "model_id"]].to_dict("records")
    lines = [model | facts for model in models if (facts := facts_of_run(f"train-{model['model_id']}", store))]
    return typed(pd.DataFrame(lines), TRAININGS)

"""The training summary: what the logs of trainings say of convergence and of the learned weights of the layers."""

import math
from collections.abc import Iterator
from contextlib import suppress
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from robustbench_pix.errors import UserError
from robustbench_pix.results.columns import KEY, TRAININGS, typed
from robustbench_pix.runs.plan_store import PlannedRow, Rows
from robustbench_pix.runs.store import LOG, Store

LEAST_EPOCHS = 4
"""Of fewer epochs nothing is said."""

SHARE_STILL_FALLING = 0.05
"""Of the whole fall: an exponential decay falls less once the training lasts 3.3 times its time constant."""

NOISES = 2.0
"""A fall must exceed so many standard errors of the difference of both means."""

COLLAPSED = 0.5
"""A weight of at least this share is the collapse of all others."""

NONE = "none"
LAYER_WEIGHT = "layer_weight_"


class LateFall(NamedTuple):
    """The fall from the fifth of the epochs before the last to the last fifth: as a share, and whether it is one."""

    share: float
    still_falls: bool


def late_fall(values: NDArray[np.floating]) -> LateFall:
    """Return by how much a curve falls at the end, as a share of its fall from its highest epoch.

    The means of the last fifth of the epochs and of the fifth before are compared. The curve still falls if the share
    is above ``SHARE_STILL_FALLING`` and the difference of the means above ``NOISES`` standard errors. The noise of an
    epoch is that of second differences, which no steady fall enters.

    Args:
        values: a loss or penalty an epoch, (E,); of fewer than ``LEAST_EPOCHS`` the share is NaN.

    >>> late_fall(np.linspace(10.0, 1.0, 10)).still_falls, late_fall(np.exp(-np.arange(10.0))).still_falls
    (True, False)
    """
    epochs = len(values)
    if epochs < LEAST_EPOCHS:
        return LateFall(math.nan, False)
    fifth = max(1, epochs // 5)
    before, last = values[-2 * fifth : -fifth].mean(), values[-fifth:].mean()
    whole = values.max() - last
    share = float((before - last) / whole) if whole > 0 else 0.0
    noise = np.sqrt(np.mean(np.diff(values[-max(2 * fifth, LEAST_EPOCHS) :], n=2) ** 2) / 6)
    return LateFall(share, bool(share > SHARE_STILL_FALLING and before - last > NOISES * noise * math.sqrt(2 / fifth)))


def training_facts(log: pd.DataFrame) -> dict[str, Any]:
    """Return the columns of ``TRAININGS`` that follow from the log of one training, a row an epoch."""
    penalized = bool(log["penalty"].any())
    curves = {"penalty": log["penalty"]} if penalized else {}
    curves |= {"validation_loss": log["validation_loss"]}
    falls = {name: late_fall(curve.to_numpy(np.float64)) for name, curve in curves.items()}
    return {
        "epochs": len(log),
        "best_epoch": int(log["validation_loss"].to_numpy().argmin()) + 1,
        "task_loss": log["task_loss"].iloc[-1],
        "first_penalty": log["penalty"].iloc[0] if penalized else math.nan,
        "last_penalty": log["penalty"].iloc[-1] if penalized else math.nan,
        **{f"{name}_fall": fall.share for name, fall in falls.items()},
        "still_falls": ", ".join(name.replace("_", " ") for name, fall in falls.items() if fall.still_falls),
        **_collapse(log[[name for name in log if str(name).startswith(LAYER_WEIGHT)]]),
    }


def _collapse(weights: pd.DataFrame) -> dict[str, Any]:
    """Return on which layer the weights collapse and from which epoch on; nothing where none are learned."""
    if weights.empty or not len(weights.columns):
        return {"collapsed_on": ""}
    largest = weights.to_numpy(np.float64).argmax(axis=1)
    layer, share = int(largest[-1]), float(weights.iloc[-1, largest[-1]])
    if share < COLLAPSED:
        return {"collapsed_on": NONE, "layer_weight": share}
    others = np.flatnonzero(largest != layer)
    since = int(others[-1]) + 2 if len(others) else 1
    name = str(weights.columns[layer]).removeprefix(LAYER_WEIGHT)
    return {"collapsed_on": f"layer {name}", "layer_weight": share, "collapsed_from": since}


def training_table(rows: Rows, store: Store) -> pd.DataFrame:
    """Return the columns ``TRAININGS``: a row a trained model and setting; none where the log is missing or damaged."""
    return typed(pd.DataFrame(line for row in rows for line in _of_row(row, store)), TRAININGS)


def _of_row(row: PlannedRow, store: Store) -> Iterator[dict[str, Any]]:
    shared = {name: row.facts[name] for name in KEY}
    models = {run.model: run.seed for run in row.finished(store) if run.is_attack}
    for model, seed in models.items():
        if facts := facts_of_run(model, store):
            yield {**shared, "seed": seed, "model_id": model.partition("-")[2], **facts}


def facts_of_run(model: str, store: Store) -> dict[str, Any]:
    """Return ``training_facts`` of a run; {} of an external model and where the log is not as it was written."""
    if store.holds(model, LOG):
        with suppress(UserError):
            return training_facts(pd.read_csv(store.file(model, LOG)))
    return {}

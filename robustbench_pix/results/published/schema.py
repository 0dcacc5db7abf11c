"""The JSON Schema of the published tables, written from the declared columns, and the check of a table against it.

``UNDERIVABLE`` lists what a published folder states that nothing in it can confirm.
"""

import re
from collections.abc import Mapping
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from robustbench_pix.results.checks.findings import Finding, found
from robustbench_pix.results.columns import Column
from robustbench_pix.results.derived_columns import AUC_PREFIX, DISTANCE_PREFIX, RELATIVE_AUC_PREFIX
from robustbench_pix.results.statistics.verdicts import BETTER, NOT_SIGNIFICANT, TOO_FEW, WORSE

DIALECT = "https://json-schema.org/draft/2020-12/schema"

_SHARE = {"minimum": 0, "maximum": 1}
_POSITIVE = {"minimum": 0}

SHARES = (
    *("accuracy", "success_rate", "clean_accuracy", "auc", "mean_auc", "worst_case", "chance"),
    *("p_value", "p_adjusted", "probability_of_improvement", "layer_weight"),
)
NOT_NEGATIVE = (
    *("n", "correct", "failed", "unanswered", "seed", "seeds", "strength", "range_from", "area", "seconds"),
    *("median_l2", "median_linf", "median_squared_l2_per_pixel", "mean_queries", "index", "label", "l2", "linf"),
)
HASH = "^[0-9a-f]{16}$"
VERSION = 2
"""Of the schema: raised where a column is renamed, removed or changes its meaning."""

LEVELS = "^([0-9a-f]{2})+$"

OF_PICTURES = ("index", "label", "prediction", "l2", "linf", "height", "width")
OF_SAMPLING = ("covariance", "images_judged")
OF_TRAININGS = ("epochs", "best_epoch", "task_loss")
ALWAYS = (
    "suite_version",
    "n",
    "repetitions",
    "failed",
    "seed",
    "range_from",
    *OF_PICTURES,
    *OF_SAMPLING,
    *OF_TRAININGS,
)
"""Numbers that no row may lack."""

LIMITS: dict[str, dict[str, Any]] = {
    "suite_version": {"minimum": 1},
    "protocol": {"enum": ["strict", "paper"]},
    "colour": {"enum": ["gray", "rgb"]},
    "precision": {"enum": ["float32", "tf32", "bfloat16"]},
    "status": {"enum": ["complete", "incomplete", "failed", "not run", ""]},
    "verdict": {"enum": ["", BETTER, WORSE, NOT_SIGNIFICANT, TOO_FEW]},
    "gradients": {"pattern": "^(sound|masked.*|failed.*)?$"},
    "kind": {"enum": ["train", "attack", "check", "nearest", "given"]},
    "still_falls": {"enum": ["", "penalty", "validation loss", "penalty, validation loss"]},
    "collapsed_on": {"pattern": "^(none|layer .+)?$"},
    **{name: {"minimum": 1} for name in ("repetitions", "rank", "height", "width", "images_judged")},
    **{name: {"minimum": 1} for name in ("epochs", "best_epoch", "collapsed_from")},
    **dict.fromkeys(SHARES, _SHARE),
    **dict.fromkeys(NOT_NEGATIVE, _POSITIVE),
    "prediction": {"minimum": -1},
    "distance_inflation": {"minimum": 1},
    **{name: {"pattern": HASH} for name in ("model_id", "recipe_hash", "task_hash", "suite_hash")},
    **{name: {"pattern": f"^$|{HASH}"} for name in ("attack_id", "attack_hash")},
    **{name: {"pattern": LEVELS} for name in ("original", "picture")},
}
"""What a column may hold, beyond its kind, in the words of JSON Schema."""

OF_PREFIX = {AUC_PREFIX: _SHARE, RELATIVE_AUC_PREFIX: _POSITIVE, DISTANCE_PREFIX: _POSITIVE}


def schema(tables: Mapping[str, tuple[Column, ...]]) -> dict[str, Any]:
    """Return the schema of one object that holds each file as a list of rows.

    A field that is empty in the file is null if it is a number, and the empty text otherwise.
    """
    return {
        "$schema": DIALECT,
        "title": "Published results of robustbench_pix",
        "version": VERSION,
        "description": "Each file as a list of its rows; an empty number is null, an empty text is the empty text.",
        "type": "object",
        "properties": {file: {"type": "array", "items": _row(columns)} for file, columns in tables.items()},
        "additionalProperties": False,
    }


def _row(columns: tuple[Column, ...]) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": {column.name: {"description": column.meaning, **_property(column)} for column in columns},
        "required": [column.name for column in columns],
        "additionalProperties": False,
    }


def _property(column: Column) -> dict[str, Any]:
    kind: Any = "string" if column.kind == "text" else column.kind
    if kind != "string" and column.name not in ALWAYS:
        kind = [kind, "null"]
    of_prefix = (limits for prefix, limits in OF_PREFIX.items() if column.name.startswith(prefix))
    return {"type": kind, **(LIMITS.get(column.name) or next(of_prefix, {}))}


def violations(file: str, table: pd.DataFrame, columns: tuple[Column, ...]) -> list[Finding]:
    """Return where a table, whose columns have their kinds already, is not what the schema says."""
    findings = []
    for column in columns:
        values, limits = table[column.name], _property(column)
        for wrong, fault in _faults(values, column, limits):
            findings += found(file, table, wrong, column.name, partial(_says, column.name, fault))
    return findings


def _says(column: str, fault: str, row: dict[Any, Any]) -> str:
    return f"{row[column]!r} {fault}"


def _faults(values: "pd.Series[Any]", column: Column, limits: Mapping[str, Any]) -> list[tuple[Any, str]]:
    if column.kind != "text":
        numbers = values.astype(float)
        faults: list[tuple[Any, str]] = [(np.isinf(numbers), "is no finite number")]
        faults += [(numbers.isna(), "where a number must be")] if column.name in ALWAYS else []
        faults += [(numbers < limits["minimum"], f"is below {limits['minimum']}")] if "minimum" in limits else []
        # Means of shares that are all 1 may exceed it by rounding.
        faults += [(numbers > limits["maximum"] + 1e-9, f"is above {limits['maximum']}")] if "maximum" in limits else []
        return faults
    if "enum" in limits:
        return [(~values.isin(limits["enum"]), f"is none of {', '.join(limits['enum'])}")]
    if "pattern" in limits:
        odd = [text for text in values.unique() if not re.search(limits["pattern"], text)]
        return [(values.isin(odd), f"does not match {limits['pattern']}")]
    return []


class Underivable(NamedTuple):
    """Columns of a published file, or fields of provenance.json; all of the file where none is named."""

    file: str
    columns: tuple[str, ...]
    sentence: str
    until: str = ""
    """With ``outcomes`` of all images, or with ``runs``, it is derived."""


UNDERIVABLE = (
    Underivable(
        "costs.csv",
        ("kind", "id", "what", "seconds", "device", "processor"),
        "all of source models, checks and runs that no measurement names; seconds of others as far as recipe-costs.csv "
        "rounds them",
    ),
    Underivable(
        "measurements.csv",
        ("version", "torch", "device", "flags"),
        "version, torch and device (only held against provenance.json), and flags",
        "runs",
    ),
    Underivable(
        "measurements.csv",
        ("gradients", "distance_inflation"),
        "that gradients were not checked where the column is empty; their verdicts and the distance inflation, where "
        "the runs of the check and of the search of smallest distances are not at hand",
    ),
    Underivable(
        "measurements.csv",
        (
            *("n", "correct", "failed", "accuracy", "area", "success_rate", "chance", "unanswered"),
            *("median_l2", "median_linf", "median_squared_l2_per_pixel", "mean_queries"),
        ),
        "counts of images, distances and queries, but for the invariants between them",
        "outcomes",
    ),
    Underivable("sampling.csv", ("covariance", "images_judged"), "covariances over test images", "outcomes"),
    Underivable(
        "pictures.csv",
        ("label", "prediction", "l2", "linf", "original", "picture", "credit", "index", "strength"),
        "which image and class it was, whether it fooled the model and at which strength, the credit, and norms and "
        "pixels within the rounding of pictures",
    ),
    Underivable(
        "provenance.json",
        (
            *("libraries", "commit", "device", "processor", "torch", "version"),
            *("entries", "regularization_data", "model", "weights"),
        ),
        "what made a row (versions, commit, device, processor) where several did, and the file and weights in the "
        "command of an external model",
    ),
    Underivable("queries.csv", (), "all numbers of its rows", "outcomes"),
    Underivable(
        "trainings.csv",
        (
            *("epochs", "best_epoch", "task_loss", "first_penalty", "last_penalty", "penalty_fall"),
            *("validation_loss_fall", "still_falls", "collapsed_on", "layer_weight", "collapsed_from"),
        ),
        "what the logs of trainings say, but for the invariants between them",
        "runs",
    ),
    Underivable(
        "index.html, leaderboard.svg, README.md, schema.json",
        (),
        "drawn from the tables by the version that published; rbp publish draws them anew",
    ),
)


def underivable(*, outcomes: bool, runs: bool) -> list[str]:
    """Return in sentences what cannot be derived; ``outcomes`` or ``runs`` of all published attacks may be at hand."""
    known = {"outcomes": outcomes or runs, "runs": runs, "": False}
    return [f"{one.file} ({one.sentence})" for one in UNDERIVABLE if not known[one.until]]

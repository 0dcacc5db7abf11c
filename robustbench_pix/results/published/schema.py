"""The JSON Schema of the published tables, written from the declared columns, and the check of a table against it."""

import re
from collections.abc import Mapping
from functools import partial
from typing import Any

import numpy as np
import pandas as pd

from robustbench_pix.results.checks.findings import Finding, found
from robustbench_pix.results.columns import Column
from robustbench_pix.results.derived_columns import AUC_PREFIX, DISTANCE_PREFIX, RELATIVE_AUC_PREFIX
from robustbench_pix.results.statistics.verdicts import BETTER, NOT_SIGNIFICANT, TOO_FEW, WORSE

DIALECT = "https://json-schema.org/draft/2020-12/schema"

_SHARE = {"minimum": 0, "maximum": 1}
_POSITIVE = {"minimum": 0}
HASH = "^[0-9a-f]{16}$"
VERSION = 2
"""Of the schema: raised where a column is renamed, removed or changes its meaning."""

LEVELS = "^([0-9a-f]{2})+$"

OF_PICTURES = ("index", "label", "prediction", "l2", "linf", "height", "width")
OF_SAMPLING = ("covariance", "images_judged")
ALWAYS = ("suite_version", "n", "repetitions", "failed", "seed", "range_from", *OF_PICTURES, *OF_SAMPLING)
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
    **{name: {"minimum": 1} for name in ("repetitions", "rank", "height", "width", "images_judged")},
    **dict.fromkeys(
        (
            "accuracy",
            "success_rate",
            "clean_accuracy",
            "auc",
            "mean_auc",
            "worst_case",
            "p_value",
            "probability_of_improvement",
        ),
        _SHARE,
    ),
    **dict.fromkeys(("chance", "p_adjusted"), _SHARE),
    **dict.fromkeys(
        ("n", "correct", "failed", "seed", "seeds", "strength", "range_from", "area", "seconds"), _POSITIVE
    ),
    **dict.fromkeys(("median_l2", "median_linf", "median_squared_l2_per_pixel", "mean_queries"), _POSITIVE),
    **dict.fromkeys(("index", "label", "l2", "linf", "unanswered"), _POSITIVE),
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
    return {"type": kind, **_limits(column)}


def _limits(column: Column) -> dict[str, Any]:
    of_prefix = (limits for prefix, limits in OF_PREFIX.items() if column.name.startswith(prefix))
    return LIMITS.get(column.name) or next(of_prefix, {})


def violations(file: str, table: pd.DataFrame, columns: tuple[Column, ...]) -> list[Finding]:
    """Return where a table, whose columns have their kinds already, is not what the schema says."""
    findings = []
    for column in columns:
        values, limits = table[column.name], _property(column)
        for wrong, fault in _faults(values, column, limits):
            findings += found(file, table, wrong, column.name, partial(_says, column.name, fault))
    return findings


def _says(column: str, fault: str, row: dict[str, Any]) -> str:
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

"""What must hold between the numbers of measurements.csv, and seldom does in a forged row."""

from functools import partial
from typing import Any

import numpy as np
import pandas as pd

from robustbench_pix.results.checks.findings import Finding, found
from robustbench_pix.results.columns import WORST_CASE
from robustbench_pix.results.frames import BLOCK, KEY

FILE = "measurements.csv"

ROUNDING = 1e-9
"""Numbers are published with ten significant digits."""

MODEL = [*KEY, "seed"]
CELL = [*MODEL, "attack"]

SAME = {
    "task_hash": BLOCK,
    "suite_hash": BLOCK,
    "recipe_hash": KEY,
    "model_id": MODEL,
    "attack_hash": [*BLOCK, "attack"],
    "access": [*BLOCK, "attack"],
    "strength_kind": [*BLOCK, "attack"],
    "n": [*BLOCK, "attack"],
    "repetitions": [*BLOCK, "attack"],
    "attack_id": CELL,
    "gradients": MODEL,
}
"""What must be the same in all rows that share these columns."""

FACTS = ["n", "correct", "failed", "area", "success_rate", "median_l2", "median_linf", "mean_queries"]
"""What rows of one attack_id and strength share, in whatever suite or combination they stand."""


def inconsistencies(measurements: pd.DataFrame) -> list[Finding]:
    """Return everything in measurements, the columns ``MEASUREMENTS``, that cannot be true at once."""
    table = measurements.reset_index(drop=True)
    return [*_rows(table), *_hashes(table), *_curves(table), *_clean(table)]


def _rows(table: pd.DataFrame) -> list[Finding]:
    wrong = partial(found, FILE, table)
    correct, n = table["correct"].astype(float), table["n"].astype(float)
    return [
        *wrong(correct > n, "correct", lambda row: f"{row['correct']} of {row['n']} images cannot be correct"),
        *wrong(
            table["failed"].astype(float) > n, "failed", lambda row: f"{row['failed']} of {row['n']} cannot have failed"
        ),
        *wrong(
            (table["accuracy"] - correct / n).abs() > ROUNDING,
            "accuracy",
            lambda row: f"{row['accuracy']:.10g} is not {row['correct']} / {row['n']}",
        ),
        *wrong(
            table["n"] % table["repetitions"] != 0,
            "n",
            lambda row: f"{row['n']} is no multiple of {row['repetitions']} repetitions",
        ),
        *wrong(
            (table["strength"].isna() != table["correct"].isna()) | (correct.isna() != table["accuracy"].isna()),
            "correct",
            lambda row: "strength, correct and accuracy must be there together, or absent together",
        ),
        *wrong(
            table["median_linf"] > table["median_l2"] * (1 + 1e-5),
            "median_linf",
            lambda row: f"{row['median_linf']:.10g} is above median_l2, {row['median_l2']:.10g}, which no norm can be",
        ),
        *wrong(
            table.duplicated([*CELL, "strength"]),
            "",
            lambda row: f"{row['attack']} on {row['recipe']}, seed {row['seed']}, stands there twice at this strength",
        ),
    ]


def _hashes(table: pd.DataFrame) -> list[Finding]:
    findings = []
    for column, keys in SAME.items():
        first = table.groupby(keys, sort=False)[column].transform("first")
        findings += found(FILE, table, table[column] != first, column, partial(_differs, column, keys[len(BLOCK) :]))
    made = table[table["attack_id"] != ""]
    for column in ("model_id", "attack_hash"):
        first = made.groupby("attack_id", sort=False)[column].transform("first").reindex(table.index)
        wrong = first.notna() & (table[column] != first)
        findings += found(FILE, table, wrong, "attack_id", lambda row: f"{row['attack_id']} names another attack above")
    seeds = table.groupby("model_id", sort=False)["seed"].transform("first")
    findings += found(
        FILE, table, table["seed"] != seeds, "model_id", lambda row: f"{row['model_id']} has another seed above"
    )
    facts = made.groupby(["attack_id", "strength"], sort=False, dropna=False)
    for column in FACTS:
        values = made[column].astype(float)
        wrong = ((values - facts[column].transform("first").astype(float)).abs() > ROUNDING).reindex(table.index)
        findings += found(FILE, table, wrong, column, partial(_repeated, column))
    return findings


def _differs(column: str, keys: list[str], row: dict[str, Any]) -> str:
    of = ", ".join(f"{name} {row[name]}" for name in keys)
    return f"{row[column]} is another than above, in the same suite and combination{', ' if of else ''}{of}"


def _repeated(column: str, row: dict[str, Any]) -> str:
    return f"{row[column]} differs from an earlier row of the same attack_id and strength"


def _curves(table: pd.DataFrame) -> list[Finding]:
    """Check what holds along a curve: strengths, the share made wrong, the area; all against the row before."""
    wrong = partial(found, FILE, table)
    curves = table[table["strength"].notna()]
    cells = curves.groupby(CELL, sort=False)
    first = cells["strength"].transform("first").reindex(table.index)
    before = cells["strength"].shift().reindex(table.index)
    clean = cells["correct"].transform("first").astype(float).reindex(table.index)
    correct, strength = table["correct"].astype(float), table["strength"]
    lists = cells["strength"].agg(lambda values: " ".join(f"{value:.10g}" for value in values)).reset_index()
    usual = lists.groupby([*BLOCK, "attack"], sort=False)["strength"].transform("first")
    odd = lists[lists["strength"] != usual][CELL].assign(odd=True)
    others = table[CELL].merge(odd, how="left", on=CELL)["odd"].to_numpy() == True  # noqa: E712
    strict = table["protocol"] == "strict"
    lost = table["success_rate"] * clean
    return [
        *wrong(first > 0, "strength", lambda row: "the curve does not begin at strength 0"),
        *wrong(before >= strength, "strength", lambda row: f"{row['strength']:.10g} does not ascend"),
        *wrong(
            others & (strength == 0),
            "strength",
            lambda row: f"{row['attack']} has other strengths here than above in the same suite and combination",
        ),
        *wrong(
            strict & (correct > clean),
            "correct",
            lambda row: f"{row['correct']} are more than at strength 0, which the strict protocol excludes",
        ),
        *wrong(
            (strict & ((lost - (clean - correct)).abs() > clean * ROUNDING)) | ((lost - lost.round()).abs() > 1e-4),
            "success_rate",
            lambda row: f"{row['success_rate']:.10g} is not the share lost of the images correct at strength 0",
        ),
        *_areas(table, curves, cells),
    ]


def _areas(table: pd.DataFrame, curves: pd.DataFrame, cells: Any) -> list[Finding]:
    """Check areas: a trapezoid where each strength was attacked; between two steps where distances were measured.

    Attacks that were given a strength return the image itself at 0, so that the median distance there is 0. Those of
    minimal distance have the distances of one run in all rows, and accuracies that fall. The worst case is a trapezoid.
    """
    accuracy, area = curves["accuracy"], curves["area"]
    width, earlier = curves["strength"] - cells["strength"].shift(), cells["accuracy"].shift()
    added = area - cells["area"].shift()
    low, high = (np.fmin(accuracy, earlier) * width, np.fmax(accuracy, earlier) * width)
    given = (cells["median_l2"].transform("first") == 0) | (curves["attack"] == WORST_CASE)
    expected, digits = width * (accuracy + earlier) / 2, 4 * ROUNDING * (1 + curves["strength"])
    wrong = (added < low - digits) | (added > high + digits) | (given & ((added - expected).abs() > digits))
    wrong |= width.isna() & (area != 0)
    return found(
        FILE,
        table,
        wrong.reindex(table.index),
        "area",
        lambda row: f"{row['area']:.10g} is not the area under the accuracies up to strength {row['strength']:.10g}",
    )


def _clean(table: pd.DataFrame) -> list[Finding]:
    """Check clean accuracies: a model has one; fewer images are a part of more images, so neither count exceeds."""
    starts = table[(table["strength"] == 0) & (table["attack_id"] != "")]
    images = (starts["n"] // starts["repetitions"]).astype(float)
    right = starts["correct"].astype(float) / starts["repetitions"].astype(float)
    most = images.groupby([starts[name] for name in MODEL], sort=False).transform("max")
    whole = right.where(images == most).groupby([starts[name] for name in MODEL], sort=False).transform("first")
    same = right.groupby([*(starts[name] for name in MODEL), images], sort=False).transform("first")
    wrong = (right != same) | (right > whole) | (images - right > most - whole)
    return found(
        FILE,
        table,
        wrong.reindex(table.index),
        "correct",
        lambda row: (
            f"{row['correct']} of {row['n']} at strength 0 contradict another attack on the same images: "
            f"{row['recipe']}, seed {row['seed']}, has one clean accuracy"
        ),
    )

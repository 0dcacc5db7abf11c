"""The invariants of measurements.csv: what catches a slip without the outcome of any image."""

from functools import partial
from typing import Any

import numpy as np
import pandas as pd

from robustbench_pix.results.checks.findings import Finding, found
from robustbench_pix.results.columns import WORST_CASE
from robustbench_pix.results.frames import KEY, SETTING

FILE = "measurements.csv"

ROUNDING = 1e-9
"""Numbers are published with ten significant digits."""

MODEL = [*KEY, "seed"]
CELL = [*MODEL, "attack"]

SAME = {
    "task_hash": SETTING,
    "suite_hash": SETTING,
    "recipe_hash": KEY,
    "model_id": MODEL,
    "attack_hash": [*SETTING, "attack"],
    "access": [*SETTING, "attack"],
    "strength_kind": [*SETTING, "attack"],
    "n": [*SETTING, "attack"],
    "repetitions": [*SETTING, "attack"],
    "range_from": [*SETTING, "attack"],
    "chance": [*SETTING, "attack"],
    "attack_id": CELL,
    "distance_inflation": CELL,
    "gradients": MODEL,
}
"""What must be the same in all rows that share these columns."""


def inconsistencies(measurements: pd.DataFrame) -> list[Finding]:
    """Return everything in measurements, the columns ``MEASUREMENTS``, that cannot be true at once."""
    table = measurements.reset_index(drop=True)
    return [*_rows(table), *_hashes(table), *_curves(table)]


def not_requested(measurements: pd.DataFrame, requested: pd.DataFrame) -> list[Finding]:
    """Return the measurements that no row of requested.csv asks for."""
    rows = {tuple(row[name] for name in KEY): row for row in requested.to_dict("records")}
    wanted = {key: ({*row["attacks"].split(","), WORST_CASE}, row["seed_list"].split(",")) for key, row in rows.items()}
    keys = list(measurements[KEY].itertuples(index=False, name=None))
    wrong = partial(found, FILE, measurements)
    stopped = [key in rows and rows[key]["status"] == "not run" for key in keys]
    other = [
        key in wanted and (attack not in wanted[key][0] or str(seed) not in wanted[key][1])
        for key, attack, seed in zip(keys, measurements["attack"], measurements["seed"], strict=True)
    ]
    return [
        *wrong([key not in rows for key in keys], "recipe", lambda row: f"{row['recipe']} has no row in requested.csv"),
        *wrong(stopped, "recipe", lambda row: f"{row['recipe']} was measured, but requested.csv says it was not run"),
        *wrong(other, "attack", lambda row: f"requested.csv does not ask for {row['attack']} with seed {row['seed']}"),
    ]


def _rows(table: pd.DataFrame) -> list[Finding]:
    wrong = partial(found, FILE, table)
    correct, n = table["correct"].astype(float), table["n"].astype(float)
    return [
        *wrong(n < 1, "n", lambda row: f"{row['n']} images cannot have been judged"),
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
            table.duplicated([*CELL, "strength"]),
            "",
            lambda row: f"{row['attack']} on {row['recipe']}, seed {row['seed']}, stands there twice at this strength",
        ),
    ]


def _hashes(table: pd.DataFrame) -> list[Finding]:
    findings = []
    for column, keys in SAME.items():
        first = table.groupby(keys, sort=False)[column].transform("first")
        wrong = (table[column] != first) & (table[column].notna() | first.notna())
        findings += found(FILE, table, wrong, column, partial(_differs, column, keys[len(SETTING) :]))
    made = table[table["attack_id"] != ""]
    for column in ("model_id", "attack_hash"):
        first = made.groupby("attack_id", sort=False)[column].transform("first").reindex(table.index)
        wrong = first.notna() & (table[column] != first)
        findings += found(FILE, table, wrong, "attack_id", lambda row: f"{row['attack_id']} names another attack above")
    seeds = table.groupby("model_id", sort=False)["seed"].transform("first")
    findings += found(
        FILE, table, table["seed"] != seeds, "model_id", lambda row: f"{row['model_id']} has another seed above"
    )
    return findings


def _differs(column: str, keys: list[str], row: dict[str, Any]) -> str:
    of = ", ".join(f"{name} {row[name]}" for name in keys)
    return f"{row[column]} is another than above, in the same suite and combination{', ' if of else ''}{of}"


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
    usual = lists.groupby([*SETTING, "attack"], sort=False)["strength"].transform("first")
    odd = lists[lists["strength"] != usual][CELL].assign(odd=True)
    others = table[CELL].merge(odd, how="left", on=CELL)["odd"].to_numpy() == True  # noqa: E712
    largest = cells["strength"].transform("last")
    begins = (curves["strength"] - curves["range_from"]).abs() <= ROUNDING * curves["strength"]
    begins &= curves["strength"] < largest
    starts = begins.groupby([curves[name] for name in CELL], sort=False).transform("sum").reindex(table.index)
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
            strict & ((lost - (clean - correct)).abs() > clean * ROUNDING),
            "success_rate",
            lambda row: f"{row['success_rate']:.10g} is not the share lost of the images correct at strength 0",
        ),
        *wrong(
            strength.notna() & (starts != 1),
            "range_from",
            lambda row: f"{row['range_from']:.10g} is no strength below the largest, so no range begins there",
        ),
        *_areas(table, curves, cells),
    ]


def _areas(table: pd.DataFrame, curves: pd.DataFrame, cells: Any) -> list[Finding]:
    """Check areas: a trapezoid where each strength was attacked; between two steps where distances were measured.

    Nothing counts up to ``range_from``. Attacks that were given a strength return the image itself at 0, so that the
    median distance there is 0. Those of minimal distance have the distances of one run in all rows, and accuracies that
    fall. The worst case is a trapezoid.
    """
    accuracy, area = curves["accuracy"], curves["area"]
    counted = cells["strength"].shift() >= curves["range_from"] * (1 - ROUNDING)
    width, earlier = (curves["strength"] - cells["strength"].shift()) * counted, cells["accuracy"].shift()
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

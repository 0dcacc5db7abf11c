"""The invariants of measurements.csv and pictures.csv: what catches a slip without the outcome of any image."""

from functools import partial
from typing import Any

import numpy as np
import pandas as pd

from robustbench_pix.results.checks.findings import Finding, found
from robustbench_pix.results.columns import KEY, MODEL, SETTING, WORST_CASE, row_key, row_keys

FILE = "measurements.csv"

ROUNDING = 1e-9
"""Numbers are published with ten significant digits."""

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
    rows = {row_key(row): row for row in requested.to_dict("records")}
    wanted = {key: ({*row["attacks"].split(","), WORST_CASE}, row["seed_list"].split(",")) for key, row in rows.items()}
    keys = row_keys(measurements)
    wrong = partial(found, FILE, measurements)
    stopped = [key in rows and rows[key]["status"] == "not run" for key in keys]
    other = [
        key in wanted and (attack not in wanted[key][0] or str(seed) not in wanted[key][1])
        for key, attack, seed in zip(keys, measurements["attack"], measurements["seed"], strict=True)
    ]
    return [
        *wrong([key not in rows for key in keys], "recipe", "{recipe} has no row in requested.csv"),
        *wrong(stopped, "recipe", "{recipe} was measured, but requested.csv says it was not run"),
        *wrong(other, "attack", "requested.csv does not ask for {attack} with seed {seed}"),
    ]


def _rows(table: pd.DataFrame) -> list[Finding]:
    wrong = partial(found, FILE, table)
    correct, n, failed = (table[name].astype(float) for name in ("correct", "n", "failed"))
    gaps = (table["strength"].isna() != correct.isna()) | (correct.isna() != table["accuracy"].isna())
    other = (table["accuracy"] - correct / n).abs() > ROUNDING
    twice = "{attack} on {recipe}, seed {seed}, stands there twice at this strength"
    return [
        *wrong(n < 1, "n", "{n} images cannot have been judged"),
        *wrong(correct > n, "correct", "{correct} of {n} images cannot be correct"),
        *wrong(failed > n, "failed", "{failed} of {n} cannot have failed"),
        *wrong(other, "accuracy", "{accuracy:.10g} is not {correct} / {n}"),
        *wrong(table["n"] % table["repetitions"] != 0, "n", "{n} is no multiple of {repetitions} repetitions"),
        *wrong(gaps, "correct", "strength, correct and accuracy must be there together, or absent together"),
        *wrong(table.duplicated([*CELL, "strength"]), "", twice),
    ]


def _hashes(table: pd.DataFrame) -> list[Finding]:
    findings = []
    for column, keys in SAME.items():
        first = table.groupby(keys, sort=False)[column].transform("first")
        wrong = (table[column] != first) & (table[column].notna() | first.notna())
        of = "".join(f", {name} {{{name}}}" for name in keys[len(SETTING) :])
        sentence = f"{{{column}}} is another than above, in the same suite and combination{of}"
        findings += found(FILE, table, wrong, column, sentence)
    made = table[table["attack_id"] != ""]
    for column in ("model_id", "attack_hash"):
        first = made.groupby("attack_id", sort=False)[column].transform("first").reindex(table.index)
        wrong = first.notna() & (table[column] != first)
        findings += found(FILE, table, wrong, "attack_id", "{attack_id} names another attack above")
    seeds = table.groupby("model_id", sort=False)["seed"].transform("first")
    findings += found(FILE, table, table["seed"] != seeds, "model_id", "{model_id} has another seed above")
    return findings


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
    elsewhere = "{attack} has other strengths here than above in the same suite and combination"
    largest = cells["strength"].transform("last")
    begins = (curves["strength"] - curves["range_from"]).abs() <= ROUNDING * curves["strength"]
    begins &= curves["strength"] < largest
    starts = begins.groupby([curves[name] for name in CELL], sort=False).transform("sum").reindex(table.index)
    strict = table["protocol"] == "strict"
    gained = "{correct} are more than at strength 0, which the strict protocol excludes"
    unequal = strict & ((table["success_rate"] * clean - (clean - correct)).abs() > clean * ROUNDING)
    share = "{success_rate:.10g} is not the share lost of the images correct at strength 0"
    nowhere = "{range_from:.10g} is no strength below the largest, so no range begins there"
    return [
        *wrong(first > 0, "strength", "the curve does not begin at strength 0"),
        *wrong(before >= strength, "strength", "{strength:.10g} does not ascend"),
        *wrong(others & (strength == 0), "strength", elsewhere),
        *wrong(strict & (correct > clean), "correct", gained),
        *wrong(unequal, "success_rate", share),
        *wrong(strength.notna() & (starts != 1), "range_from", nowhere),
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
    sentence = "{area:.10g} is not the area under the accuracies up to strength {strength:.10g}"
    return found(FILE, table, wrong.reindex(table.index), "area", sentence)


PICTURES_FILE = "pictures.csv"

HALF_LEVEL = 0.5 / 255
"""By so much an entry of a picture may differ from the image that was judged."""

DIGITS = 1e-5
"""Norms were measured in float32."""

PICTURED = [*CELL, "attack_id"]


def false_pictures(pictures: pd.DataFrame, measurements: pd.DataFrame) -> list[Finding]:
    """Return every picture that is not what its row says, as far as the files can tell.

    ``pictures`` has the columns ``PICTURES``, of the right form each.
    """
    table = pictures.reset_index(drop=True)
    findings = _picture_rows(table, measurements)
    return findings if findings else _distances(table)


def _picture_rows(table: pd.DataFrame, measurements: pd.DataFrame) -> list[Finding]:
    wrong = partial(found, PICTURES_FILE, table)
    image = table.groupby(["task", "colour", "index"], sort=False)
    known = set(row_keys(measurements, PICTURED))
    entries = table["height"] * table["width"] * table["colour"].map({"gray": 1, "rgb": 3})
    unknown = [row not in known for row in row_keys(table, PICTURED)]
    twice = table.duplicated([*KEY, "attack", "index"])
    findings = wrong(unknown, "attack_id", "{attack_id} is not in measurements.csv as {attack} on {recipe}")
    findings += wrong(twice, "index", "{attack} on {recipe} has two pictures of the image {index}")
    for column in ("original", "picture"):
        size = "it is not as large as {height} x {width} pixels in {colour}"
        findings += wrong(table[column].str.len() != 2 * entries, column, size)
    for column in ("label", "original"):
        other = table[column] != image[column].transform("first")
        findings += wrong(other, column, "the image {index} of {task} is another one above")
    return findings


def _distances(table: pd.DataFrame) -> list[Finding]:
    """Check the norms of what was changed, up to the rounding of the picture; an original has whole levels."""
    before, after = (
        [np.frombuffer(bytes.fromhex(text), np.uint8).astype(float) for text in table[name]]
        for name in ("original", "picture")
    )
    changed = [(late - early) / 255 for early, late in zip(before, after, strict=True)]
    norms = {
        "l2": ([float(np.linalg.norm(change)) for change in changed], [np.sqrt(len(change)) for change in changed]),
        "linf": ([float(np.abs(change).max()) for change in changed], [1.0 for _ in changed]),
    }
    findings = []
    for name, (norm, roundings) in norms.items():
        wrong = (table[name] - norm).abs() > np.array(roundings) * HALF_LEVEL + DIGITS
        sentence = f"{{{name}:.10g}} is not that of the picture, {{norm:.10g}}"
        findings += found(PICTURES_FILE, table.assign(norm=norm), wrong, name, sentence)
    return findings

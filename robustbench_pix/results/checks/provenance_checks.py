"""Whether the hashes and commands of provenance.json are those of the rows that it speaks of."""

import shlex
from functools import partial
from typing import Any

import numpy as np
import pandas as pd

from robustbench_pix.identity import digest
from robustbench_pix.results.checks.findings import Finding, found
from robustbench_pix.results.columns import WORST_CASE
from robustbench_pix.results.frames import KEY
from robustbench_pix.results.provenance import Provenance
from robustbench_pix.results.statistics.measured import BASELINE
from robustbench_pix.runs.plan_store import combination_name

FILE = "provenance.json"
ROUNDING = 1e-9
"""Strengths are published with ten significant digits."""

HASHES = ["attack_id", "attack_hash", "model_id", "recipe_hash", "task_hash", "suite_hash"]


def wrong_addresses(measurements: pd.DataFrame, provenance: Provenance) -> list[Finding]:
    """Compute every hash again, and return where an entry, a model or an attack is not what its hash says.

    Rows of measurements that the provenance does not explain are found too; the worst case over the attacks, which no
    single attack made, needs no explanation.
    """
    table = measurements.reset_index(drop=True)
    cells = table[table["attack"] != WORST_CASE].drop_duplicates([*KEY, "seed", "attack", *HASHES])
    explained = {tuple(row[name] for name in KEY): row for row in provenance["rows"]}
    keys = cells[[*KEY, "seed", "attack", "attack_id"]].itertuples(index=False, name=None)
    expected = [_expected(explained.get(key[: len(KEY)]), provenance, *key[len(KEY) :]) for key in keys]
    wrong = partial(found, "measurements.csv", table)
    findings = _entries(provenance)
    for column in HASHES:
        pairs = zip(expected, cells[column], strict=True)
        differs = [row is not None and row[column] != stated for row, stated in pairs]
        findings += wrong(_at(differs, cells, table), column, partial(_other, column))
    findings += _strengths(table, provenance)
    unknown = [row is None for row in expected]
    return findings + wrong(_at(unknown, cells, table), "", _unexplained)


def _strengths(table: pd.DataFrame, provenance: Provenance) -> list[Finding]:
    """Check that rows have a strength and a range of their attack, to the digits that are published."""
    strange, moved = (pd.Series(False, index=table.index) for _ in range(2))
    for name, rows in table.groupby("attack_hash", sort=False):
        if (attack := provenance["attacks"].get(name)) is None:
            continue
        strengths, start = np.array(attack.get("strengths", []), float), float(attack.get("range_from", 0.0))
        there = np.isclose(rows["strength"].to_numpy(float)[:, None], strengths, rtol=ROUNDING, atol=0).any(axis=1)
        strange[rows.index] = rows["strength"].notna() & ~there
        moved[rows.index] = ~np.isclose(rows["range_from"].to_numpy(float), start, rtol=ROUNDING, atol=0)
    wrong = partial(found, "measurements.csv", table)
    return [
        *wrong(strange, "strength", lambda row: f"{FILE} does not say that {row['attack']} had {row['strength']:.10g}"),
        *wrong(moved, "range_from", lambda row: f"{FILE} does not say that {row['attack']} counts from there"),
    ]


def _at(wrong: list[bool], cells: pd.DataFrame, table: pd.DataFrame) -> "pd.Series[bool]":
    return pd.Series(wrong, index=cells.index, dtype=bool).reindex(table.index, fill_value=False)


def _other(column: str, row: dict[str, Any]) -> str:
    return f"{row[column]} is not what {FILE} says was run"


def _unexplained(row: dict[str, Any]) -> str:
    where = f"{combination_name(row)}, seed {row['seed']}"
    return f"{FILE} does not say how {row['attack']} on {row['recipe']}, {where}, was made"


def _entries(provenance: Provenance) -> list[Finding]:
    """Check that recipes, tasks, attacks and suites stand under their own hashes."""
    attacks = provenance["attacks"]
    content: dict[str, dict[str, Any]] = {
        "recipes": provenance["recipes"],
        "tasks": {name: [entry["numerics"], entry["task"]] for name, entry in provenance["tasks"].items()},
        "attacks": attacks,
        "suites": {
            name: [entry["name"], entry["version"], entry["protocol"], [attacks.get(of) for of in entry["attacks"]]]
            for name, entry in provenance["suites"].items()
        },
    }
    return [
        Finding(FILE, None, section, f"what stands under {name} has the hash {digest(entry)}")
        for section, entries in content.items()
        for name, entry in entries.items()
        if digest(entry) != name
    ]


def _expected(
    row: dict[str, Any] | None, provenance: Provenance, seed: int, attack: str, attack_id: str
) -> dict[str, Any] | None:
    """Return the hashes that the rows of one model under one attack must have, or None where nothing is said."""
    if row is None or attack not in row["attacks"] or seed not in row["seeds"]:
        return None
    model = row["model"]
    if model["kind"] == "train":
        task, recipe = provenance["tasks"].get(row["task_hash"]), provenance["recipes"].get(row["recipe_hash"])
        if task is None:
            return None
        model = {**model, "task": task["task"], "regularization": recipe, "seed": int(seed)}
    model_id = digest(model)
    ways, attacks = row["attacks"][attack], provenance["attacks"]
    addresses = [digest({**way, "attack": attacks.get(way["attack"]), "model": model_id}) for way in ways]
    return {
        **{name: row[name] for name in ("recipe_hash", "task_hash", "suite_hash")},
        "model_id": model_id,
        "attack_hash": ways[0]["attack"],
        "attack_id": attack_id if attack_id in addresses else addresses[0],
    }


FILE = "provenance.json"
FREE = {"--model", "--weights"}
"""What nothing else in the folder says; one word each."""

OPTIONAL = {"--check-gradients", "--no-check-gradients"}


def false_commands(provenance: Provenance) -> list[Finding]:
    """Return the rows whose command asks for something else than the row, or is no single rbp command."""
    wrong = [row for row in provenance["rows"] if not _is_of(row["command"], row)]
    return [
        Finding(
            FILE,
            None,
            "command",
            f"that of {row['recipe']} on {combination_name(row)} is not of this row",
        )
        for row in wrong
    ]


def _is_of(command: str, row: dict[str, Any]) -> bool:
    try:
        plain = shlex.split(command)
    except ValueError:
        return False
    if shlex.join(plain) != command:  # a shell would do more than read these words
        return False
    trained = row["model"]["kind"] == "train"
    if plain[:2] != ["rbp", "run" if trained else "evaluate"]:
        return False
    found: dict[str, list[str]] = {}
    rest = iter(word for word in plain[2:] if word not in OPTIONAL)
    for option in rest:
        found.setdefault(option, []).append(next(rest, ""))
    expected = _options(row, trained)
    stated = {option: values for option, values in found.items() if trained or option not in FREE}
    return {**stated, "--colour": [row["colour"]]} == {**expected, "--colour": found.get("--colour", [row["colour"]])}


def _options(row: dict[str, Any], trained: bool) -> dict[str, list[str]]:
    """Return the options of a row's command, but for colour and checks, whose defaults the catalogue states."""
    seeds = ",".join(map(str, row["seeds"])) + ("," if len(row["seeds"]) == 1 else "")
    other = row["regularization_data"] != row["task"]
    options = {
        "--suite": [row["suite"]],
        "--size": [row["size"]] if row["size"] != "full" else [],
        "--precision": [row["precision"]] if row["precision"] != "float32" else [],
    }
    if trained:
        options["--on"] = [combination_name(row) if other else row["task"]]
        options["--recipe"] = list(dict.fromkeys([BASELINE, row["recipe"]]))
        options["--seeds"] = [seeds]
    else:
        options |= {"--task": [row["task"]], "--name": [row["recipe"]]}
        options |= {"--regularization-data": [row["regularization_data"]] if other else []}
    return {option: values for option, values in options.items() if values}

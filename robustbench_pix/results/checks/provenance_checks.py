"""Whether provenance.json agrees with the tables: hashes, commands, versions, devices and names of runs.

Nothing in the files says whether an origin is true; but none of the places that state it can be changed alone.
"""

import shlex
from functools import partial
from typing import Any

import numpy as np
import pandas as pd

from robustbench_pix.identity import digest
from robustbench_pix.results.checks.findings import Finding, found
from robustbench_pix.results.columns import KEY, MODEL, WORST_CASE, row_key, row_keys
from robustbench_pix.results.costs import titles
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
    cells = table[table["attack"] != WORST_CASE].drop_duplicates([*MODEL, "attack", *HASHES])
    explained = {row_key(row): row for row in provenance["rows"]}
    keys = row_keys(cells, [*MODEL, "attack", "attack_id"])
    expected = [_expected(explained.get(key[: len(KEY)]), provenance, *key[len(KEY) :]) for key in keys]
    wrong = partial(found, "measurements.csv", table)
    findings = _entries(provenance)
    for column in HASHES:
        pairs = zip(expected, cells[column], strict=True)
        differs = [row is not None and row[column] != stated for row, stated in pairs]
        findings += wrong(_at(differs, cells, table), column, f"{{{column}}} is not what {FILE} says was run")
    findings += _strengths(table, provenance)
    unknown = _at([row is None for row in expected], cells, table)
    how = "{attack} on {recipe}, {task}:{regularization_data}, seed {seed}"
    return findings + wrong(unknown, "", f"{FILE} does not say how {how}, was made")


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
        *wrong(strange, "strength", f"{FILE} does not say that {{attack}} had {{strength:.10g}}"),
        *wrong(moved, "range_from", f"{FILE} does not say that {{attack}} counts from there"),
    ]


def _at(wrong: list[bool], cells: pd.DataFrame, table: pd.DataFrame) -> "pd.Series[bool]":
    return pd.Series(wrong, index=cells.index, dtype=bool).reindex(table.index, fill_value=False)


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


FREE = {"--model", "--weights"}
"""What nothing else in the folder says; one word each."""

OPTIONAL = {"--check-gradients", "--no-check-gradients"}


def false_commands(provenance: Provenance) -> list[Finding]:
    """Return the rows whose command asks for something else than the row, or is no single rbp command."""
    return [
        Finding(FILE, None, "command", f"that of {row['recipe']} on {combination_name(row)} is not of this row")
        for row in provenance["rows"]
        if not _is_of(row["command"], row)
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


SOFTWARE = ("version", "torch", "device")
MACHINE = ("device", "processor")


def contradicting_origins(measurements: pd.DataFrame, costs: pd.DataFrame, provenance: Provenance) -> list[Finding]:
    """Return where versions, devices, processors and names of runs contradict each other.

    Costs of runs that no measurement names (source models, checks, rows that were replaced) are not looked at.
    """
    rows = {row_key(row): row["made_with"] for row in provenance["rows"]}
    software, machines = (
        {key: {tuple(one.get(name, "") for name in names) for one in made} for key, made in rows.items()}
        for names in (SOFTWARE, MACHINE)
    )
    stated = zip(row_keys(measurements), row_keys(measurements, SOFTWARE), strict=True)
    other = [key in software and one not in software[key] for key, one in stated]
    sentence = f"{{recipe}} was not made with {_listed(SOFTWARE)}, as provenance.json has it"
    findings = found("measurements.csv", measurements, other, SOFTWARE[0], sentence)
    return findings + _costs(measurements, costs, machines)


def _costs(
    measurements: pd.DataFrame, costs: pd.DataFrame, machines: dict[tuple[Any, ...], set[tuple[str, ...]]]
) -> list[Finding]:
    called: dict[tuple[str, str], set[str]] = {}
    made: dict[tuple[str, str], set[tuple[str, ...]]] = {}
    cells = measurements[measurements["attack"] != WORST_CASE].drop_duplicates([*MODEL, "attack"])
    records: list[dict[Any, Any]] = cells.to_dict("records")
    for cell in records:
        names, on = titles(cell, cell["seed"], cell["attack"]), machines.get(row_key(cell))
        for kind, identifier in (("train", "model_id"), ("given", "model_id"), ("attack", "attack_id")):
            called.setdefault((kind, cell[identifier]), set()).update(names[kind])
            if on is not None:
                made.setdefault((kind, cell[identifier]), set()).update(on)
    attacked = {("attack", name): device for name, device in zip(cells["attack_id"], cells["device"], strict=True)}
    rows = list(zip(row_keys(costs, ("kind", "id")), costs["what"], row_keys(costs, MACHINE), strict=True))
    renamed = [run in called and what not in called[run] for run, what, _ in rows]
    elsewhere = [run in made and machine not in made[run] for run, _, machine in rows]
    moved = [attacked.get(run, machine[0]) != machine[0] for run, _, machine in rows]
    wrong = partial(found, "costs.csv", costs)
    return [
        *wrong(renamed, "what", "{what!r} is not what measurements.csv says of {kind} {id}"),
        *wrong(elsewhere, "processor", f"{{what}} did not run on {_listed(MACHINE)}, as provenance.json has it"),
        *wrong(moved, "device", "{what} ran on another device than {device}, as measurements.csv has it"),
    ]


def _listed(names: tuple[str, ...]) -> str:
    """Return the part of a format string that lists columns of a row.

    >>> _listed(("device", "processor"))
    'device {device}, processor {processor}'
    """
    return ", ".join(f"{name} {{{name}}}" for name in names)

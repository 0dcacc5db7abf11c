"""Whether the hashes of published tables are those of what the provenance says was run."""

from functools import partial
from typing import Any

import pandas as pd

from robustbench_pix.identity import digest
from robustbench_pix.results.checks.findings import Finding, found
from robustbench_pix.results.columns import WORST_CASE
from robustbench_pix.results.frames import KEY
from robustbench_pix.results.provenance import Provenance

FILE = "provenance.json"
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
    unknown = [row is None for row in expected]
    return findings + wrong(_at(unknown, cells, table), "", _unexplained)


def _at(wrong: list[bool], cells: pd.DataFrame, table: pd.DataFrame) -> "pd.Series[bool]":
    return pd.Series(wrong, index=cells.index, dtype=bool).reindex(table.index, fill_value=False)


def _other(column: str, row: dict[str, Any]) -> str:
    return f"{row[column]} is not what {FILE} says was run"


def _unexplained(row: dict[str, Any]) -> str:
    where = f"{row['task']}:{row['images']}, seed {row['seed']}"
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

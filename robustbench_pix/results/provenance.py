"""Where every published row comes from: all that was hashed, in full, and the command that makes the row again.

Recipes, tasks, attacks and suites stand under their hashes. A row holds what together with them makes the identities of
its models and attacks, so that anybody can compute every hash of a table again (``results.checks.addresses``).
Its attacks are lists: seeds that were added later may have been attacked after the engine changed what it records.
"""

import json
from typing import Any

from robustbench_pix.catalogue.workspace import Workspace
from robustbench_pix.identity import canonical_json, digest
from robustbench_pix.results.commands import command_of
from robustbench_pix.results.frames import KEY
from robustbench_pix.results.merging import REPLACED
from robustbench_pix.runs.plans import CHECK, Rows
from robustbench_pix.runs.store import Store

Provenance = dict[str, Any]

SECTIONS = {"recipes": "recipe_hash", "tasks": "task_hash", "suites": "suite_hash"}
MADE_WITH = ("version", "torch", "libraries", "commit", "device", "processor")


def empty() -> Provenance:
    """Return the provenance of no rows."""
    return {"attacks": {}, **{section: {} for section in SECTIONS}, "rows": []}


def provenance(rows: Rows, store: Store, catalogue: Workspace) -> Provenance:
    """Return the provenance of those rows of which something was attacked; no times and no paths are in it."""
    found = empty()
    for row in rows:
        there = [cell for cell in row["cells"] if store.has(cell["run"]) and store.damage(cell["run"]) is None]
        checked = any(cell["attack"] == CHECK for cell in row["cells"])
        attacked = {cell["run"]: cell for cell in there if cell["attack"] != CHECK and store.has(cell["model"])}
        if attacked:
            _add(found, row["facts"], attacked, store, checked, catalogue)
    return found


def _add(
    found: Provenance,
    facts: dict[str, Any],
    attacked: dict[str, dict[str, Any]],
    store: Store,
    checked: bool,
    catalogue: Workspace,
) -> None:
    models = {cell["seed"]: store.spec(cell["model"]) for cell in attacked.values()}
    specs = {run: store.spec(run) for run in attacked}
    first = next(iter(models.values()))
    model, seeds = first["identity"], sorted(models)
    attacks: dict[str, list[Any]] = {}
    for run, spec in specs.items():
        resolved, ways = spec["identity"]["attack"], attacks.setdefault(attacked[run]["attack"], [])
        found["attacks"][digest(resolved)] = resolved
        way = {**_without(spec["identity"], "model"), "attack": digest(resolved)}
        ways += [way] if way not in ways else []
    named = facts["attacks"].split(",")
    if set(named) <= set(attacks):
        suite = {"name": facts["suite"], "version": facts["suite_version"], "protocol": facts["protocol"]}
        found["suites"][facts["suite_hash"]] = {**suite, "attacks": [attacks[name][0]["attack"] for name in named]}
    if "task" in model:
        found["tasks"][facts["task_hash"]] = {"numerics": model["numerics"], "task": model["task"]}
        found["recipes"][facts["recipe_hash"]] = model["regularization"]
    data = {"task": model.get("task", model)["dataset"], "images": (model.get("regularization") or {}).get("images")}
    given = first["context"] if "model" in model else None
    made = [{name: spec[name] for name in MADE_WITH if spec.get(name)} for spec in (*models.values(), *specs.values())]
    found["rows"].append(
        {
            **{name: facts[name] for name in (*KEY, *SECTIONS.values())},
            "seeds": seeds,
            "model": _without(model, "seed", "task", "regularization"),
            "attacks": attacks,
            "data": data,
            "made_with": [json.loads(text) for text in sorted({canonical_json(one) for one in made})],
            "command": command_of(facts, seeds, checked=checked, given=given, catalogue=catalogue),
        }
    )


def merged(published: Provenance, new: Provenance) -> Provenance:
    """Return the published rows that no new row replaces, then the new ones, and the entries that either names."""
    replaced = {_key(row) for row in new["rows"]}
    rows = [row for row in published["rows"] if _key(row) not in replaced] + new["rows"]
    found = empty()
    for section, name in SECTIONS.items():
        found[section] = _named({row[name] for row in rows}, published[section] | new[section])
    named = {way["attack"] for row in rows for ways in row["attacks"].values() for way in ways}
    named |= {attack for suite in found["suites"].values() for attack in suite["attacks"]}
    found["attacks"] = _named(named, published["attacks"] | new["attacks"])
    found["rows"] = sorted(rows, key=lambda row: [str(row[name]) for name in KEY])
    return found


def _key(row: dict[str, Any]) -> tuple[Any, ...]:
    return tuple(row[name] for name in REPLACED)


def _named(names: set[str], entries: dict[str, Any]) -> dict[str, Any]:
    return {name: entries[name] for name in sorted(names & set(entries))}


def _without(identity: dict[str, Any], *names: str) -> dict[str, Any]:
    return {name: value for name, value in identity.items() if name not in names}

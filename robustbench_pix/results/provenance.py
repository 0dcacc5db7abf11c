"""Where every published row comes from: all that was hashed, in full, and the command that makes the row again.

Recipes, tasks, attacks and suites stand under their hashes. A row holds what together with them makes the identities of
its models and attacks, so that anybody can compute every hash of a table again (``results.checks.provenance_checks``).
Its attacks are lists: seeds that were added later may have been attacked after the engine changed what it records.
"""

import json
import shlex
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError

from robustbench_pix.catalogue.workspace import FOLDERS, Workspace
from robustbench_pix.identity import canonical_json, digest
from robustbench_pix.results.columns import KEY, row_key
from robustbench_pix.results.merging import REPLACED
from robustbench_pix.results.statistics.measured import BASELINE
from robustbench_pix.runs.plan_store import CHECK, PlannedRun, Rows, combination_name
from robustbench_pix.runs.store import Store


class _Open(BaseModel):
    """What is not named here may be there as well."""

    model_config = ConfigDict(extra="allow", strict=True)


class _Evaluation(_Open):
    budget: int | None
    repetitions: int
    images: int | None


class _File(_Open):
    name: str = ""


class _Attack(_Open):
    attack: str
    file: _File = _File()
    access: str
    strength: str
    strengths: list[float]
    range_from: float = 0.0
    evaluation: _Evaluation


class _Task(_Open):
    numerics: int
    task: dict[str, Any]


class _Suite(_Open):
    name: str
    version: int
    protocol: str
    attacks: list[str]


class _Way(_Open):
    attack: str


class _Model(_Open):
    kind: str


class _Row(_Open):
    suite: str
    suite_version: int
    protocol: str
    task: str
    regularization_data: str
    size: str
    colour: str
    network: str
    precision: str
    recipe: str
    recipe_hash: str
    task_hash: str
    suite_hash: str
    seeds: list[int]
    model: _Model
    attacks: dict[str, list[_Way]]
    data: dict[str, str | None]
    made_with: list[dict[str, Any]]
    entries: int | None = None
    command: str


class _Provenance(_Open):
    attacks: dict[str, _Attack]
    recipes: dict[str, dict[str, Any] | None]
    tasks: dict[str, _Task]
    suites: dict[str, _Suite]
    rows: list[_Row]


_FORM = TypeAdapter(_Provenance)
_ORDER = "strengths must ascend from 0, and range_from lie below the last"


def wrong_form(provenance: Any) -> str:
    """Return the first thing that is wrong with the form of a provenance, or ""."""
    try:
        _FORM.validate_python(provenance)
    except (ValidationError, RecursionError) as error:
        if isinstance(error, RecursionError):
            return "it is nested too deeply"
        first = error.errors(include_url=False, include_input=False, include_context=False)[0]
        return f"{'.'.join(map(str, first['loc']))}: {first['msg']}"
    if not all(ways for row in provenance["rows"] for ways in row["attacks"].values()):
        return "rows: an attack was made in no way"
    return next((f"attacks.{name}: {_ORDER}" for name, one in provenance["attacks"].items() if not _ordered(one)), "")


def _ordered(attack: dict[str, Any]) -> bool:
    strengths, start = attack["strengths"], attack.get("range_from", 0.0)
    ascending = all(low < high for low, high in pairwise(strengths))
    return not strengths or (strengths[0] == 0 and ascending and 0 <= start < strengths[-1])


def command_of(
    facts: dict[str, Any],
    seeds: list[int],
    *,
    checked: bool,
    given: dict[str, Any] | None,
    catalogue: Workspace,
    others: Sequence[str] = (),
) -> str:
    """Return the command of one row, with the options that are not what is done without them.

    That of a trained row runs ``unregularized`` on the same seeds, too: without it the row would have no gain. A rank
    needs the commands of all rows of the setting.

    Args:
        facts: of the row, as its plan states them.
        seeds: those that were run.
        checked: whether its models were checked for gradient masking.
        given: of an external model the context of its run, or None for a trained one; files are named without folders.
        catalogue: whose tasks and suites say what is done without options.
        others: recipes that the command of a trained row runs as well.
    """
    combination = facts["task"] if facts["regularization_data"] == facts["task"] else combination_name(facts)
    if given is None:
        words = ["rbp", "run", "--suite", facts["suite"], "--on", combination]
        for name in dict.fromkeys([BASELINE, facts["recipe"], *others]):
            words += ["--recipe", name]
        words += ["--seeds", f"{','.join(map(str, seeds))}{',' if len(seeds) == 1 else ''}"]
    else:
        weights = given.get("weights", "FILE")  # runs that were kept earlier do not say what it was called
        words = ["rbp", "evaluate", "--model", given["reference"].replace("\\", "/").rpartition("/")[2]]
        words += ["--weights", weights] if weights else []
        words += ["--task", facts["task"], "--suite", facts["suite"]]
        data = facts["regularization_data"]
        words += ["--regularization-data", data] if data != facts["task"] else []
        words += ["--name", facts["recipe"]]
    words += ["--size", facts["size"]] if facts["size"] != "full" else []
    known = facts["task"] in catalogue.names(FOLDERS["task"])
    if not known or catalogue.task(facts["task"]).colour != facts["colour"]:
        words += ["--colour", facts["colour"]]
    words += ["--precision", facts["precision"]] if facts["precision"] != "float32" else []
    known = facts["suite"] in catalogue.names(FOLDERS["suite"])
    if checked != (known and catalogue.suite(facts["suite"]).check_gradients):
        words.append("--check-gradients" if checked else "--no-check-gradients")
    return shlex.join(words)


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
        checked = any(run.attack == CHECK for run in row.runs)
        attacks = [run for run in row.finished(store) if run.is_attack]
        attacked = {run.run: run for run in attacks if store.has(run.model)}
        if attacked:
            _add(found, row.facts, attacked, store, checked, catalogue)
    return merged(empty(), found)  # sorted


def _add(
    found: Provenance,
    facts: dict[str, Any],
    attacked: dict[str, PlannedRun],
    store: Store,
    checked: bool,
    catalogue: Workspace,
) -> None:
    models = {run.seed: store.spec(run.model) for run in attacked.values()}
    specs = {run: store.spec(run) for run in attacked}
    first = next(iter(models.values()))
    model, seeds = first["identity"], sorted(models)
    attacks: dict[str, list[Any]] = {}
    for run, spec in specs.items():
        resolved, ways = spec["identity"]["attack"], attacks.setdefault(attacked[run].attack, [])
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
    data = {
        "task": model.get("task", model)["dataset"],
        "regularization_data": (model.get("regularization") or {}).get("images"),
    }
    given = first["context"] if "model" in model else None
    made = [{name: spec[name] for name in MADE_WITH if spec.get(name)} for spec in (*models.values(), *specs.values())]
    found["rows"].append(
        {
            **{name: facts[name] for name in (*KEY, *SECTIONS.values())},
            "seeds": seeds,
            "entries": next(iter(specs.values()))["context"]["entries"],
            "model": _without(model, "seed", "task", "regularization"),
            "attacks": attacks,
            "data": data,
            "made_with": [json.loads(text) for text in sorted({canonical_json(one) for one in made})],
            "command": command_of(facts, seeds, checked=checked, given=given, catalogue=catalogue),
        }
    )


def merged(published: Provenance, new: Provenance) -> Provenance:
    """Return the published rows that no new row replaces, then the new ones, and the entries that either names."""
    replaced = {row_key(row, REPLACED) for row in new["rows"]}
    rows = [row for row in published["rows"] if row_key(row, REPLACED) not in replaced] + new["rows"]
    found = empty()
    for section, name in SECTIONS.items():
        found[section] = _named({row[name] for row in rows}, published[section] | new[section])
    named = {way["attack"] for row in rows for ways in row["attacks"].values() for way in ways}
    named |= {attack for suite in found["suites"].values() for attack in suite["attacks"]}
    found["attacks"] = _named(named, published["attacks"] | new["attacks"])
    found["rows"] = sorted(rows, key=lambda row: [str(row[name]) for name in KEY])
    return found


def _named(names: set[str], entries: dict[str, Any]) -> dict[str, Any]:
    return {name: entries[name] for name in sorted(names & set(entries))}


def _without(identity: dict[str, Any], *names: str) -> dict[str, Any]:
    return {name: value for name, value in identity.items() if name not in names}

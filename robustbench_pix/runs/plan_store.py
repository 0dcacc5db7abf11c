"""The planned rows of a workspace, kept beside its runs: those of every plan, merged.

A plan is under a digest, and named after its rows. One that changed is set aside, and the others count.
"""

import logging
import time
import uuid
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, NamedTuple

from robustbench_pix.identity import digest
from robustbench_pix.runs.manifest import once_a_state, sealed, unsealed
from robustbench_pix.runs.store import Store, disk_error, sync

logger = logging.getLogger(__name__)

PLANS = "plans"
SET_ASIDE = ".set-aside"
"""Takes the place of ``.json`` at the end of the name of a plan that cannot be used."""

CHECK = "gradient-check"
"""Stands for an attack in the runs that check a model for gradient masking."""

NEAREST = "smallest-distance"
"""Stands for an attack in the runs that measure how near to a model's images adversarials are known."""

BESIDE_ATTACKS = frozenset({CHECK, NEAREST})
"""What is no attack: nothing of it enters a score."""

SETTING = (
    "suite",
    "suite_version",
    "protocol",
    "task",
    "regularization_data",
    "size",
    "colour",
    "network",
    "precision",
)
"""Facts that rows must share to be compared."""


@dataclass(frozen=True)
class PlannedRun:
    """One model under one attack, or its check: the names of both runs, whether they are there yet or not."""

    seed: int
    attack: str
    model: str
    run: str

    @property
    def is_attack(self) -> bool:
        """Whether it enters scores."""
        return self.attack not in BESIDE_ATTACKS

    def damage(self, store: Store) -> str | None:
        """Return in words what is wrong with the run, or with the manifest of its model; None if all is well.

        A run that is absent is not damaged. The weights of the model are not checked.
        """
        fault = store.damage(self.run) if store.has(self.run) else None
        if fault:
            return f"{self.run} is damaged ({fault})"
        fault = store.fault(self.model) if store.has(self.model) else None
        return f"{self.model} is damaged ({fault})" if fault else None

    def finished(self, store: Store) -> bool:
        """Return whether the outcome is there and as it was written."""
        return store.has(self.run) and self.damage(store) is None


@dataclass(frozen=True)
class PlannedRow:
    """One recipe, or external model, on one combination.

    Attributes:
        facts: of its row on the board.
        runs: what the row is measured by, empty where the recipe cannot run.
        failed: why runs failed, by their names, once they were tried.
    """

    facts: dict[str, Any]
    runs: tuple[PlannedRun, ...] = ()
    failed: dict[str, str] = field(default_factory=dict)

    @classmethod
    def from_json(cls, row: dict[str, Any]) -> "PlannedRow":
        """Return the row that a file of a plan holds.

        Raises:
            KeyError: another version wrote it.
        """
        if missing := {*SETTING, "recipe", "attacks", "seed_list"} - set(row["facts"]):
            raise KeyError(*missing)
        return cls(row["facts"], tuple(PlannedRun(**run) for run in row["cells"]), row["failed"])

    def as_json(self) -> dict[str, Any]:
        """Return the row for the file of a plan."""
        return {"facts": self.facts, "cells": [dict(vars(run)) for run in self.runs], "failed": self.failed}

    @property
    def recipe(self) -> str:
        """The name of the row."""
        return str(self.facts["recipe"])

    @property
    def attacks(self) -> list[str]:
        """The attacks of the suite, in its order."""
        return str(self.facts["attacks"]).split(",")

    @property
    def seeds(self) -> list[int]:
        """The planned seeds."""
        return [int(seed) for seed in self.facts["seed_list"].split(",")]

    @property
    def setting(self) -> tuple[Any, ...]:
        """What rows must share to be compared."""
        return tuple(self.facts[name] for name in SETTING)

    @property
    def hashes(self) -> tuple[str, str]:
        """The hashes of its task and suite."""
        return self.facts["task_hash"], self.facts["suite_hash"]

    def finished(self, store: Store) -> list[PlannedRun]:
        """Return the runs whose outcomes are there and as they were written."""
        return [run for run in self.runs if run.finished(store)]

    def after(self, failed: dict[str, str]) -> "PlannedRow":
        """Return the row with the reasons why runs of its own failed."""
        return replace(self, failed={run.run: failed[run.run] for run in self.runs if run.run in failed})

    def with_seeds_of(self, older: "PlannedRow") -> "PlannedRow":
        """Return the row with the runs of both, seed by seed in the order of the suite, as if planned at once."""
        runs = {(run.seed, run.attack): run for run in (*older.runs, *self.runs)}
        order = [*self.attacks, CHECK, NEAREST]
        seeds = sorted({*older.seeds, *self.seeds})
        return PlannedRow(
            {**self.facts, "seed_list": ",".join(map(str, seeds))},
            tuple(runs[key] for key in sorted(runs, key=lambda key: (key[0], order.index(key[1])))),
            {**older.failed, **self.failed},
        )


Rows = list[PlannedRow]


class _Plan(NamedTuple):
    written: float
    rows: Rows


def save_plan(rows: Rows, store: Store) -> Path:
    """Write a plan under the hash of its rows; saving them again only renews the time.

    The newest plan is later than all others, whatever the clock says.
    """
    path = store.root / PLANS / f"{_name(rows)}.json"
    scratch = path.with_name(f".{path.name}.{uuid.uuid4().hex[:8]}")
    last = max((plan.written for plan in _plans(store)), default=0.0)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        written = max(time.time(), last + 1e-3)
        scratch.write_text(sealed({"written": written, "rows": [row.as_json() for row in rows]}), encoding="utf-8")
        sync(scratch)
        scratch.replace(path)
        sync(path.parent)
        path.with_suffix(SET_ASIDE).unlink(missing_ok=True)
    except OSError as error:
        raise disk_error(store.root, error) from error
    finally:
        with suppress(OSError):
            scratch.unlink(missing_ok=True)
    return path


def saved_rows(store: Store) -> Rows:
    """Return the rows of all plans, merged: of each recipe in a setting the newest recipe, task and suite hold.

    Runs of older plans are kept where recipe, task and suite are still the same, so that seeds add up. A plan that is
    not as it was written is logged, set aside and left out.
    """
    saved = [row for plan in sorted(_plans(store), key=lambda plan: plan.written) for row in plan.rows]
    newest_hashes = {row.setting: row.hashes for row in saved}
    merged: dict[tuple[Any, ...], PlannedRow] = {}
    for row in saved:
        if row.hashes == newest_hashes[row.setting]:
            key = (*row.setting, row.recipe)
            older = merged.pop(key, None)
            same = older is not None and older.facts["recipe_hash"] == row.facts["recipe_hash"]
            merged[key] = row.with_seeds_of(older) if older is not None and same else row
    return list(merged.values())


def setting_rows(rows: Iterable[PlannedRow], store: Store) -> Rows:
    """Return all saved rows of the settings in which some rows stand."""
    settings = {row.setting for row in rows}
    return [row for row in saved_rows(store) if row.setting in settings]


def plans_set_aside(store: Store) -> list[Path]:
    """Return the plans that were set aside and not written anew since."""
    return sorted((store.root / PLANS).glob(f"*{SET_ASIDE}"))


def _plans(store: Store) -> list[_Plan]:
    found = []
    for path in sorted((store.root / PLANS).glob("*.json")):
        try:
            found.append(_read(path))
        except (OSError, ValueError, KeyError, TypeError) as error:
            another_version = isinstance(error, (KeyError, TypeError))
            logger.warning(_set_aside(path, "it was recorded by another version" if another_version else str(error)))
    return found


@once_a_state
def _read(path: Path) -> _Plan:
    stated = unsealed(path.read_bytes().decode())
    plan = _Plan(stated["written"], [PlannedRow.from_json(row) for row in stated["rows"]])
    if _name(plan.rows) != path.stem:
        raise ValueError("its name is that of another plan")
    return plan


def _set_aside(path: Path, fault: str) -> str:
    """Rename a plan, and say in a sentence what was wrong with it and how its rows come back."""
    kept = path.with_suffix(SET_ASIDE)
    try:
        path.replace(kept)
        where = f"it is set aside as {kept.name}"
    except OSError:
        where = "it is left out"
    return f"The plan {path} cannot be used ({fault}); {where}, and the command that made it brings its rows back."


def _name(rows: Rows) -> str:
    return digest([{**row.as_json(), "failed": None} for row in rows])


def combination_name(facts: Any) -> str:
    """Return ``task:data`` of a mapping or a row of a table that has both columns.

    >>> combination_name({"task": "mnist", "regularization_data": "natural"})
    'mnist:natural'
    """
    return f"{facts['task']}:{facts['regularization_data']}"

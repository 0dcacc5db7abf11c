"""What was asked for, kept beside the runs: the rows of every plan, merged into those of the whole workspace."""

import json
import time
import uuid
from dataclasses import asdict
from pathlib import Path
from typing import Any

from robustbench_pix.errors import UserError
from robustbench_pix.identity import digest
from robustbench_pix.runs.store import Store, disk_error

PLANS = "plans"
CHECK = "gradient-check"
"""Stands for an attack in the cells that check a model for masked gradients."""

BLOCK = ("suite", "suite_version", "protocol", "task", "images", "size", "colour", "network", "precision")

Rows = list[dict[str, Any]]


def save_plan(rows: Rows, store: Store) -> Path:
    """Write the rows of a plan under the hash of their content; saving them again only renews the time.

    ``rows`` are facts, cells and, once a run has ended, the reasons of jobs that failed.
    """
    path = store.root / PLANS / f"{digest([{**row, 'failed': None} for row in rows])}.json"
    scratch = path.with_name(f".{path.name}.{uuid.uuid4().hex[:8]}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        scratch.write_text(json.dumps({"written": time.time(), "rows": rows}, indent=1), encoding="utf-8")
        scratch.replace(path)
    except OSError as error:
        raise disk_error(store.root, error) from error
    return path


def as_rows(planned: list[Any], failed: dict[str, str]) -> Rows:
    """Return the rows of a plan as JSON values, with the reasons why jobs of theirs failed."""
    rows = []
    for row in planned:
        cells = [asdict(cell) for cell in row.cells]
        reasons = {cell["run"]: failed[cell["run"]] for cell in cells if cell["run"] in failed}
        rows.append({"facts": row.facts, "cells": cells, "failed": reasons})
    return rows


def saved_rows(store: Store) -> Rows:
    """Return the rows of all saved plans, merged: for each recipe of a block the newest recipe, task and suite hold.

    Cells of older plans are kept where recipe, task and suite are still the same, so that seeds add up.
    """
    saved = [_read(path) for path in sorted((store.root / PLANS).glob("*.json"))]
    saved.sort(key=lambda plan: plan["written"])
    newest_hashes = {_block(row): _hashes(row) for plan in saved for row in plan["rows"]}
    merged: dict[tuple[Any, ...], dict[str, Any]] = {}
    for plan in saved:
        for row in plan["rows"]:
            if _hashes(row) != newest_hashes[_block(row)]:
                continue
            key = (*_block(row), row["facts"]["recipe"])
            older = merged.pop(key, None)
            same = older is not None and older["facts"]["recipe_hash"] == row["facts"]["recipe_hash"]
            merged[key] = _union(older, row) if older is not None and same else row
    return list(merged.values())


def block_rows(rows: Rows, store: Store) -> Rows:
    """Return all saved rows of the blocks in which some rows stand."""
    blocks = {_block(row) for row in rows}
    return [row for row in saved_rows(store) if _block(row) in blocks]


def _read(path: Path) -> dict[str, Any]:
    try:
        return dict(json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError) as error:
        raise UserError(f"{path} cannot be read ({error}); delete it and run the same command again.") from error


def _block(row: dict[str, Any]) -> tuple[Any, ...]:
    return tuple(row["facts"][name] for name in BLOCK)


def _hashes(row: dict[str, Any]) -> tuple[str, str]:
    return row["facts"]["task_hash"], row["facts"]["suite_hash"]


def _union(older: dict[str, Any], newer: dict[str, Any]) -> dict[str, Any]:
    """Return a row with the cells of both, seed by seed in the order of the suite, as if they were planned at once."""
    cells = {(cell["seed"], cell["attack"]): cell for cell in (*older["cells"], *newer["cells"])}
    order = [*newer["facts"]["attacks"].split(","), CHECK]
    seeds = sorted({int(seed) for row in (older, newer) for seed in row["facts"]["seed_list"].split(",")})
    facts = {**newer["facts"], "seed_list": ",".join(map(str, seeds))}
    return {
        "facts": facts,
        "cells": [cells[key] for key in sorted(cells, key=lambda key: (key[0], order.index(key[1])))],
        "failed": {**older["failed"], **newer["failed"]},
    }

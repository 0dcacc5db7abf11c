"""The board of rows: what their runs measured, and what they cost."""

from typing import Any

import pandas as pd

from robustbench_pix.results.columns import COSTS, MEASUREMENTS, names
from robustbench_pix.results.masking import verdict
from robustbench_pix.results.statistics.worst_case import Outcome, outcome, worst_case
from robustbench_pix.results.tables import measure
from robustbench_pix.runs.plans import CHECK, Rows
from robustbench_pix.runs.store import EVIDENCE, EXAMPLES, Store


def board(rows: Rows, store: Store) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return the measurements that are there for the cells of rows, and one line for each row."""
    measurements: list[dict[str, Any]] = []
    lines = []
    for row in rows:
        reasons, gradients = [], _gradients(row, store)
        outcomes: dict[str, list[Outcome]] = {}
        for cell in row["cells"]:
            damage = store.damage(cell["run"]) if store.has(cell["run"]) else None
            if damage:
                reasons.append(f"{cell['run']} is damaged ({damage}); run it again")
            elif store.has(cell["run"]) and cell["attack"] != CHECK:
                measured, found = _measured(cell, store)
                measurements += [_facts(row, cell, gradients) | line for line in measured]
                outcomes.setdefault(cell["model"], []).append(found)
            elif cell["run"] in row["failed"]:
                reasons.append(row["failed"][cell["run"]])
        for cell in {cell["model"]: cell for cell in row["cells"]}.values():
            all_attacks = outcomes.get(cell["model"], [])
            if len(all_attacks) == len(row["facts"]["attacks"].split(",")):
                measurements += [_facts(row, cell, gradients) | line for line in worst_case(all_attacks)]
        lines.append({**row["facts"], "note": row["facts"]["note"] or "; ".join(dict.fromkeys(reasons))})
    return pd.DataFrame(measurements, columns=names(MEASUREMENTS)), pd.DataFrame(lines)


def costs(rows: Rows, store: Store) -> pd.DataFrame:
    """Return what the runs behind rows cost, each run once."""
    attacks = [cell["run"] for row in rows for cell in row["cells"] if store.damage(cell["run"]) is None]
    runs = dict.fromkeys(name for attack in attacks for name in (*store.spec(attack)["needs"], attack))
    lines = []
    for name in runs:
        if store.damage(name) is None:
            spec = store.spec(name)
            kind, _, identifier = name.partition("-")
            what = spec["context"]["title"]
            facts = {key: spec[key] for key in ("seconds", "device", "processor")}
            lines.append({"kind": kind, "id": identifier, "what": what, **facts})
    return pd.DataFrame(lines, columns=names(COSTS))


def _gradients(row: dict[str, Any], store: Store) -> dict[str, str]:
    """Return what the checks of a row's models say, by the names of the models."""
    return {
        cell["model"]: verdict(pd.read_parquet(store.folder(cell["run"]) / EVIDENCE))
        for cell in row["cells"]
        if cell["attack"] == CHECK and store.has(cell["run"]) and store.damage(cell["run"]) is None
    }


def _facts(row: dict[str, Any], cell: dict[str, Any], gradients: dict[str, str]) -> dict[str, Any]:
    return {
        **row["facts"],
        "seed": cell["seed"],
        "attack": cell["attack"],
        "gradients": gradients.get(cell["model"], ""),
        "model_id": cell["model"].partition("-")[2],
    }


def _measured(cell: dict[str, Any], store: Store) -> tuple[Rows, Outcome]:
    spec = store.spec(cell["run"])
    examples = pd.read_parquet(store.folder(cell["run"]) / EXAMPLES)
    rows = measure(examples, spec)
    return rows, outcome(rows[0], examples, spec["identity"]["attack"])

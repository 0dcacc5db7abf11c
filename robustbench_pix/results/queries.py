"""Success rate and distance against queries, of every decision and score attack that a workspace has run.

Success is what evaluation judged, so that its rate is that of the measurements. When a distance was reached is known up
to the next of 10, 20, 30, 50, 70, 100, ... queries, and counted there.
"""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from robustbench_pix.attacks.recorded import CHECKPOINTS, DISTANCE_AT
from robustbench_pix.results.columns import QUERIES, names
from robustbench_pix.results.frames import KEY, typed
from robustbench_pix.results.statistics.survival import queries_to_success
from robustbench_pix.runs.plan_store import PlannedRow, Rows
from robustbench_pix.runs.store import EXAMPLES, Store

ACCESSES = ("decisions", "scores")


def query_table(rows: Rows, store: Store) -> pd.DataFrame:
    """Return one line for each recipe, attack and strength above 0, images of all seeds taken together."""
    lines = [line for row in rows for line in _of_row(row, store)]
    return typed(pd.DataFrame(lines, columns=names(QUERIES)), QUERIES)


def _of_row(row: PlannedRow, store: Store) -> Iterator[dict[str, Any]]:
    by_attack: dict[str, list[str]] = {}
    for run in row.finished(store):
        if run.is_attack:
            by_attack.setdefault(run.attack, []).append(run.run)
    for attack, runs in by_attack.items():
        spec = store.spec(runs[0])["identity"]["attack"]
        if spec["access"] in ACCESSES:
            named = {name: row.facts[name] for name in KEY} | {"attack": attack}
            examples = [pd.read_parquet(store.file(run, EXAMPLES)) for run in runs]
            yield from (named | line for line in attack_lines(examples, spec))


def attack_lines(models: Sequence[pd.DataFrame], spec: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Return one line for each strength above 0 of a decision or score attack.

    Args:
        models: the examples of each attacked model, as ``evaluate`` returns them.
        spec: the attack's specification.
    """
    examples = pd.concat(models, ignore_index=True)
    examples = examples[examples["label"] == examples["clean_prediction"]]
    shared = {"strength_kind": spec["strength"], "seeds": len(models)}
    return (shared | line for line in _of_attack(examples, spec))


def _of_attack(examples: pd.DataFrame, spec: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Return the lines of one attack; one of minimal distance succeeds at a strength when it has come as near."""
    minimal = "distance_at_half" in examples
    for strength in spec["strengths"][1:]:
        rows = examples if minimal else examples[examples["strength"] == strength]
        asked = rows["queries"].to_numpy()
        limit = spec["evaluation"]["budget"] or int(asked.max(initial=0))
        found, found_at = _within(rows, strength, spec["strength"]) if minimal else _fooled(rows)
        # An attack that ends without success has failed for good, however early: more queries would not have helped.
        times = queries_to_success(np.where(found, found_at, limit), found, limit)
        known = [count for count in CHECKPOINTS if count <= limit]
        line = {"strength": strength, "n": len(rows), "found": int(found.sum()), "query_budget": limit}
        line |= {"median_queries": times.median, "median_low": times.low, "median_high": times.high}
        line |= {"restricted_mean_queries": times.restricted_mean}
        if len(rows):
            line |= {f"success_at_{count}": float(np.mean(found & (found_at <= count))) for count in known}
        if len(rows) and minimal:
            line |= {f"{DISTANCE_AT}{count}": _median(rows[f"{DISTANCE_AT}{count}"]) for count in known}
        yield line


def _fooled(rows: pd.DataFrame) -> tuple[NDArray[np.bool_], NDArray[np.integer]]:
    """Return which images were fooled, and by which query; by the last where it was none of those asked."""
    found_at, asked = rows["found_at"].to_numpy(), rows["queries"].to_numpy()
    return ~rows["correct"].to_numpy(), np.where(found_at > 0, found_at, asked)


def _within(rows: pd.DataFrame, strength: float, kind: str) -> tuple[NDArray[np.bool_], NDArray[np.integer]]:
    """Return whose distance came within a strength, and after how many queries, up to the next checkpoint."""
    within = rows[[f"{DISTANCE_AT}{count}" for count in CHECKPOINTS]].to_numpy(np.float64) <= strength
    first, asked = np.array(CHECKPOINTS)[within.argmax(axis=1)], rows["queries"].to_numpy()
    # The last queries may lie beyond the last checkpoint that they reached, and the judge may find a nearer one.
    found_at = np.where(within.any(axis=1), np.minimum(first, asked), asked)
    return rows["linf" if kind == "linf" else "l2"].to_numpy(np.float64) <= strength, found_at


def _median(values: "pd.Series[float]") -> float:
    median = float(np.median(values))
    return median if np.isfinite(median) else float("nan")

"""Measurements from the per-image outcomes of one attack: counts first, everything else derived from them."""

import math
from typing import Any

import numpy as np
import pandas as pd

from robustbench_pix.attacks.libraries.classes import KNOWN_DEFECTS
from robustbench_pix.attacks.recorded import NO_ANSWER
from robustbench_pix.identity import digest
from robustbench_pix.results.inflation import INFLATION_ALLOWED

FAILED_SHARE = 0.01
"""Above this share of failed images a cell is flagged."""

CONVERGED_DROP = 0.1
"""An attack has not converged if the last doubling of its queries lowered the median distance by more than this, unless
it is known to have ended near the smallest distances."""

FAR = f"ended above {INFLATION_ALLOWED:g} times the smallest known distance"
"""The flag of an attack that further queries would not help: its walk ended at another part of the boundary."""


def range_from(attack: dict[str, Any]) -> float:
    """Return the strength from which the area under the accuracy counts; ``attack`` is the attack's identity."""
    return float(attack.get("range_from", 0.0))


def measure(examples: pd.DataFrame, spec: dict[str, Any], inflation: float = math.nan) -> list[dict[str, Any]]:
    """Return the rows of one attack on one model, one for each strength, strength 0 being the clean accuracy.

    Args:
        examples: one row for each image, repetition and strength, as ``evaluate`` returns them.
        spec: spec.json of the attack's run.
        inflation: the attack's distance inflation, NaN where it was not measured.
    """
    attack = spec["identity"]["attack"]
    entries = spec["context"]["entries"]
    shared = {
        "access": attack["access"],
        "strength_kind": attack["strength"],
        "attack_id": digest(spec["identity"]),
        "attack_hash": digest(attack),
        "repetitions": attack["evaluation"]["repetitions"],
        "range_from": range_from(attack),
        "chance": _chance(examples),
        "version": spec["version"],
        "torch": spec["torch"],
        "device": spec["device"],
        "distance_inflation": inflation,
    }
    strict = spec["identity"]["protocol"] == "strict"
    examples = examples.assign(clean_correct=examples["label"] == examples["clean_prediction"])
    minimal = "distance_at_half" in examples
    rows = (_minimal if minimal else _fixed)(examples, attack, entries, strict)
    counted = examples[examples["clean_correct"]] if strict else examples
    flags = ["depends on batch"] * spec["context"]["batch_dependent"] + _flags(examples, counted, attack, inflation)
    flags += [f"read from {attack['file']['name']}"] if "file" in attack else []
    return [{**shared, **row, "flags": "; ".join(flags)} for row in rows]


def _fixed(examples: pd.DataFrame, attack: dict[str, Any], entries: int, strict: bool) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = []
    area, before = 0.0, None
    for strength in attack["strengths"]:
        part = examples[examples["strength"] == strength]
        accuracy = float(part["correct"].mean())
        if before is not None and before[0] >= range_from(attack):
            area += (strength - before[0]) * (accuracy + before[1]) / 2
        before = (strength, accuracy)
        counted = part[part["clean_correct"]] if strict else part
        rows.append(
            {
                "strength": strength,
                **_counts(part, part["correct"]),
                "area": area,
                "success_rate": _mean(~part["correct"][part["clean_correct"]]),
                **_distances(counted, entries),
                "mean_queries": _mean(counted["queries"]),
                "unanswered": int((part["prediction"] == NO_ANSWER).sum()),
            }
        )
    return rows


def _minimal(examples: pd.DataFrame, attack: dict[str, Any], entries: int, strict: bool) -> list[dict[str, Any]]:
    """Derive accuracy at every strength from the distances of one run; without strengths one row has a distance.

    The area is that under the step function which the share of images further away than a strength is.
    """
    distance = examples["l2" if attack["strength"] != "linf" else "linf"].to_numpy(dtype=np.float64)
    clean = examples["clean_correct"].to_numpy()
    counted = examples[clean] if strict else examples
    shared = {**_distances(counted, entries), "mean_queries": _mean(counted["queries"])}
    silent = (examples["prediction"] == NO_ANSWER).to_numpy()
    if not attack["strengths"]:
        counts = _counts(examples, None)
        shared["unanswered"] = int(silent.sum())
        return [{"strength": math.nan, **counts, "area": math.nan, "success_rate": math.nan, **shared}]
    start, kept_until = range_from(attack), np.where(clean, distance, 0.0)
    return [
        {
            "strength": strength,
            **_counts(examples, pd.Series(clean & (distance > strength))),
            "area": float(np.maximum(np.minimum(kept_until, strength) - start, 0.0).mean()),
            "success_rate": _mean(distance[clean] <= strength),
            "unanswered": int((silent & (distance <= strength)).sum()),
            **shared,
        }
        for strength in attack["strengths"]
    ]


def _chance(examples: pd.DataFrame) -> float:
    """Return the accuracy of the best constant answer: the share of the class that most of the images have."""
    counts = examples.drop_duplicates("index")["label"].value_counts()
    return int(counts.max()) / int(counts.sum())


def _counts(part: pd.DataFrame, correct: pd.Series | None) -> dict[str, Any]:
    n, failed = len(part), int(part["failed"].sum())
    if correct is None:
        return {"n": n, "correct": pd.NA, "failed": failed, "accuracy": math.nan}
    return {"n": n, "correct": int(correct.sum()), "failed": failed, "accuracy": int(correct.sum()) / n}


def _distances(part: pd.DataFrame, entries: int) -> dict[str, float]:
    """Return medians in which failures are infinitely far, and the paper's number, which leaves them out."""
    found = part[np.isfinite(part["l2"])]
    squared = found["l2"].astype(np.float64) ** 2 / entries
    return {
        "median_l2": _median(part["l2"]),
        "median_linf": _median(part["linf"]),
        "median_squared_l2_per_pixel": float(squared.groupby(found["repetition"]).median().mean()),
    }


def _flags(examples: pd.DataFrame, counted: pd.DataFrame, attack: dict[str, Any], inflation: float) -> list[str]:
    """Return what a reader must know; ``inflation`` is NaN where it was not measured."""
    flags, reference, minimal = [], attack["attack"], "distance_at_half" in examples
    if reference in KNOWN_DEFECTS:
        flags.append(KNOWN_DEFECTS[reference].reason)
    failed = examples.groupby("strength", dropna=False)["failed"].mean().max()
    if failed > FAILED_SHARE:
        flags.append(f"failed on {failed:.0%}")
    if "raised" in examples:
        images = examples.groupby(["index", "repetition"])["raised"].max()
        flags.append(f"{len(images[images > 0])} images attacked alone after an error of the library")
    silent = examples.loc[examples["prediction"] == NO_ANSWER, "index"].nunique()
    if silent:
        flags.append(f"no finite answer on {silent} images")
    far = inflation > INFLATION_ALLOWED
    if minimal and (far or math.isnan(inflation)) and not _converged(counted, attack["strength"]):
        flags.append("not converged")
    elif far:
        flags.append(FAR)
    return flags


def _converged(examples: pd.DataFrame, strength_kind: str) -> bool:
    """Return whether the median distance fell by at most CONVERGED_DROP over the last doubling of the queries."""
    asked, asked_then = examples["queries"].mean(), examples["queries_at_half"].mean()
    if examples.empty or asked <= asked_then:
        return True
    now = np.median(examples["linf" if strength_kind == "linf" else "l2"])
    then = np.median(examples["distance_at_half"])
    if not np.isfinite(then):
        return False
    return bool((now / then) ** (1 / math.log2(asked / asked_then)) >= 1 - CONVERGED_DROP)


def _median(values: pd.Series) -> float:
    median = float(np.median(values)) if len(values) else math.nan
    return median if math.isfinite(median) else math.nan


def _mean(values: Any) -> float:
    return float(np.mean(values)) if len(values) else math.nan

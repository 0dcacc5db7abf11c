"""The pointwise worst case: an image is correct only if it is so under every attack of the suite."""

from collections.abc import Sequence
from typing import Any, NamedTuple, get_args

import numpy as np
import pandas as pd

from robustbench_pix.catalogue.specs import Access
from robustbench_pix.identity import digest
from robustbench_pix.results.columns import WORST_CASE

SHARES = (0.0, 0.25, 0.5, 0.75, 1.0)
"""Of each attack's largest strength."""

FAILED = "failed"
SHARED = ("version", "torch", "device")


class Outcome(NamedTuple):
    """One attack on one model.

    Attributes:
        measured: the attack's first row of measurements.
        correct: a row an image by its test index, a column a share: whether it is correct in every repetition; and
            ``FAILED``, whether the attack failed on it anywhere. None for an attack that reports a distance only.
    """

    measured: dict[str, Any]
    correct: pd.DataFrame | None


def outcome(measured: dict[str, Any], examples: pd.DataFrame, attack: dict[str, Any]) -> Outcome:
    """Return what becomes of each image at each share of the largest strength.

    An attack at given strengths is read at the nearest listed strength at or below, one of minimal distance at the
    share itself: an image stays correct while its distance is larger.

    Args:
        measured: the first of the rows that ``measure`` returns.
        examples: of the attack's run, as ``evaluate`` returns them.
        attack: the attack's specification.
    """
    if not attack["strengths"]:
        return Outcome(measured, None)
    largest = attack["strengths"][-1]
    minimal = "distance_at_half" in examples
    columns: dict[Any, Any] = {}
    for share in SHARES:
        if minimal:
            distance = examples["l2" if attack["strength"] != "linf" else "linf"].astype(float)
            correct = (examples["label"] == examples["clean_prediction"]) & (distance > share * largest)
            columns[share] = correct.groupby(examples["index"]).all()
        else:
            listed = max(strength for strength in attack["strengths"] if strength <= share * largest * (1 + 1e-9))
            rows = examples[examples["strength"] == listed]
            columns[share] = rows["correct"].groupby(rows["index"]).all()
    columns[FAILED] = examples["failed"].groupby(examples["index"]).any()
    return Outcome(measured, pd.DataFrame(columns))


def worst_case(outcomes: Sequence[Outcome]) -> list[dict[str, Any]]:
    """Return the rows of the measurements that hold the worst case of all attacks on a model, one for each share.

    Images count that every attack judged. None where fewer than two attacks have strengths, or no image is common.
    """
    used = [(one.measured, one.correct) for one in outcomes if one.correct is not None]
    measured, tables = [row for row, _ in used], [correct for _, correct in used]
    if len(tables) < 2:
        return []
    common = tables[0].index
    for table in tables[1:]:
        common = common.intersection(table.index)
    if common.empty:
        return []
    stays = np.logical_and.reduce([table.loc[common, list(SHARES)].to_numpy(bool) for table in tables])
    failed = np.logical_or.reduce([table.loc[common, FAILED].to_numpy(bool) for table in tables])
    accuracies = stays.mean(axis=0)
    areas = np.concatenate([[0.0], np.cumsum(np.diff(SHARES) * (accuracies[1:] + accuracies[:-1]) / 2)])
    shared = {
        "attack": WORST_CASE,
        "access": max((row["access"] for row in measured), key=get_args(Access).index),
        "strength_kind": "share",
        "n": len(common),
        "repetitions": 1,
        "failed": int(failed.sum()),
        "flags": "",
        "attack_id": digest([row["attack_id"] for row in measured]),
        "attack_hash": digest([row["attack_hash"] for row in measured]),
    }
    shared |= {name: measured[0][name] for name in SHARED}
    clean = stays[:, 0]
    return [
        shared
        | {"strength": share, "correct": int(stays[:, place].sum()), "accuracy": float(accuracies[place])}
        | {"area": float(areas[place]), "success_rate": float((~stays[clean, place]).mean()) if clean.any() else np.nan}
        for place, share in enumerate(SHARES)
    ]

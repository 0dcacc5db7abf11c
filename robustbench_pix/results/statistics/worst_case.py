"""The pointwise worst case: an image is correct only if it is so under every attack of the suite."""

from collections.abc import Sequence
from typing import Any, NamedTuple, get_args

import numpy as np
import pandas as pd

from robustbench_pix.attacks.recorded import NO_ANSWER
from robustbench_pix.catalogue.specs import Access
from robustbench_pix.identity import digest
from robustbench_pix.results.columns import WORST_CASE
from robustbench_pix.results.measuring import range_from
from robustbench_pix.results.statistics.image_areas import AUC, CLEAN, quadrature

SHARES = (0.0, 0.25, 0.5, 0.75, 1.0)
"""Of each attack's range of strengths; share 0 is no attack, wherever a range begins."""

FAILED = "failed"
UNANSWERED = "unanswered"
SHARED = ("version", "torch", "device")


class Outcome(NamedTuple):
    """One attack on one model.

    Attributes:
        measured: the attack's first row of measurements.
        correct: a row an image by its test index, a column a share: whether it is correct in every repetition; and
            ``FAILED``, whether the attack failed on it anywhere, and ``UNANSWERED``, whether an answer was not finite.
            None for an attack that reports a distance only.
    """

    measured: dict[str, Any]
    correct: pd.DataFrame | None


def outcome(measured: dict[str, Any], examples: pd.DataFrame, attack: dict[str, Any]) -> Outcome:
    """Return what becomes of each image at each share of the range, which begins at ``range_from``.

    An attack at given strengths is read at the nearest listed strength at or below, one of minimal distance at the
    share itself: an image stays correct while its distance is larger.

    Args:
        measured: the first of the rows that ``measure`` returns.
        examples: of the attack's run, as ``evaluate`` returns them.
        attack: the attack's specification.
    """
    if not attack["strengths"]:
        return Outcome(measured, None)
    start, largest = range_from(attack), attack["strengths"][-1]
    minimal = "distance_at_half" in examples
    columns: dict[Any, Any] = {}
    for share in SHARES:
        reached = strength_at(share, start, largest)
        if minimal:
            distance = examples["l2" if attack["strength"] != "linf" else "linf"].astype(float)
            correct = (examples["label"] == examples["clean_prediction"]) & (distance > reached)
            columns[share] = correct.groupby(examples["index"]).all()
        else:
            listed = max(strength for strength in attack["strengths"] if strength <= reached * (1 + 1e-9))
            rows = examples[examples["strength"] == listed]
            columns[share] = rows["correct"].groupby(rows["index"]).all()
    columns[FAILED] = examples["failed"].groupby(examples["index"]).any()
    columns[UNANSWERED] = (examples["prediction"] == NO_ANSWER).groupby(examples["index"]).any()
    return Outcome(measured, pd.DataFrame(columns))


def strength_at(share: float, start: float, largest: float) -> float:
    """Return the strength at a share of the range from ``start`` to ``largest``; at share 0 none.

    >>> strength_at(0.5, 0.2, 0.8), strength_at(0.0, 0.2, 0.8)
    (0.5, 0.0)
    """
    return start + share * (largest - start) if share else 0.0


def worst_case(outcomes: Sequence[Outcome]) -> list[dict[str, Any]]:
    """Return the rows of the measurements that hold the worst case of all attacks on a model, one for each share.

    Images count that every attack judged. None where fewer than two attacks have strengths, or no image is common.
    """
    measured = [one.measured for one in outcomes if one.correct is not None]
    table = _together(outcomes)
    if table is None:
        return []
    stays = table[list(SHARES)].to_numpy(bool)
    accuracies = stays.mean(axis=0)
    areas = np.concatenate([[0.0], np.cumsum(np.diff(SHARES) * (accuracies[1:] + accuracies[:-1]) / 2)])
    shared = {
        "attack": WORST_CASE,
        "access": max((row["access"] for row in measured), key=get_args(Access).index),
        "strength_kind": "share",
        "n": len(table),
        "repetitions": 1,
        "range_from": 0.0,
        "failed": int(table[FAILED].sum()),
        "unanswered": int(table[UNANSWERED].sum()),
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


def worst_case_areas(outcomes: Sequence[Outcome]) -> pd.DataFrame | None:
    """Return what ``image_areas`` would return of the worst case on a model; None where there is none."""
    table = _together(outcomes)
    if table is None:
        return None
    stays = table[list(SHARES)].to_numpy(float)
    return pd.DataFrame({AUC: stays @ quadrature(np.array(SHARES), 0.0), CLEAN: stays[:, 0]}, index=table.index)


def _together(outcomes: Sequence[Outcome]) -> pd.DataFrame | None:
    """Return whether common images stay correct under all attacks at each share, and ``FAILED`` and ``UNANSWERED``."""
    tables = [one.correct for one in outcomes if one.correct is not None]
    if len(tables) < 2:
        return None
    common = tables[0].index
    for table in tables[1:]:
        common = common.intersection(table.index)
    if common.empty:
        return None
    found = np.logical_and.reduce([table.loc[common, list(SHARES)].to_numpy(bool) for table in tables])
    ever = {
        name: np.logical_or.reduce([table.loc[common, name].to_numpy(bool) for table in tables])
        for name in (FAILED, UNANSWERED)
    }
    return pd.DataFrame(found, index=common, columns=list(SHARES)).assign(**ever)

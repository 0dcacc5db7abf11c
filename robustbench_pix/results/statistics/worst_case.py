"""Numbers of each test image, the unit that is sampled: what it adds to an AUC, and the pointwise worst case.

In the worst case an image is correct only if it is so under every attack of the suite.
"""

from collections.abc import Sequence
from itertools import pairwise
from typing import Any, NamedTuple, get_args

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from robustbench_pix.attacks.recorded import NO_ANSWER
from robustbench_pix.catalogue.specs import Access
from robustbench_pix.identity import digest
from robustbench_pix.results.columns import WORST_CASE
from robustbench_pix.results.measuring import range_from

AUC, CLEAN = "auc", "clean"


def image_areas(examples: pd.DataFrame, attack: dict[str, Any]) -> pd.DataFrame:
    """Return ``auc`` and ``clean`` of every judged image by its test index, in [0, 1], means over repetitions.

    At given strengths ``auc`` is the normalized area under ``correct`` (0 or 1), linear between strengths; of an attack
    that searches the nearest adversarial it is (min(d, end) - min(d, start)) / (end - start), with distance d, which is
    0 for an image that is wrong without attack. Their means are exactly the normalized area and the clean accuracy of
    the measurements. NaN under an attack without strengths.

    Args:
        examples: as ``evaluate`` returns them.
        attack: the attack's specification: ``strength``, ``strengths``, and ``range_from``, 0 where absent.
    """
    index = examples["index"].to_numpy()
    place = index - index.min()
    strengths, start = attack["strengths"], float(attack.get("range_from", 0.0))
    if "distance_at_half" in examples:
        norm = "linf" if attack["strength"] == "linf" else "l2"
        right = (examples["label"] == examples["clean_prediction"]).to_numpy()
        distance = np.where(right, examples[norm].to_numpy(float), 0.0)
        clean = (distance > 0).astype(float)
        if not strengths:
            clean, auc = right.astype(float), np.full(len(right), np.nan)
        else:
            auc = (np.minimum(distance, strengths[-1]) - np.minimum(distance, start)) / (strengths[-1] - start)
        rows = np.bincount(place)
    else:
        weights = quadrature(np.array(strengths, float), start) / (strengths[-1] - start)
        at = np.searchsorted(strengths, examples["strength"].to_numpy())
        correct = examples["correct"].to_numpy(float)
        auc, clean = correct * weights[at], correct * (at == 0)
        rows = np.bincount(place[at == 0], minlength=place.max() + 1)
    judged = np.flatnonzero(rows)
    means = {name: np.bincount(place, values)[judged] / rows[judged] for name, values in ((AUC, auc), (CLEAN, clean))}
    return pd.DataFrame(means, index=judged + index.min())


def quadrature(strengths: NDArray[np.float64], start: float) -> NDArray[np.float64]:
    """Return the weight of the value at each strength in the area from ``start`` on, linear between strengths.

    >>> quadrature(np.array([0.0, 1.0, 3.0]), 0.0).tolist(), quadrature(np.array([0.0, 1.0, 3.0]), 2.0).tolist()
    ([0.5, 1.5, 1.0], [0.0, 0.25, 0.75])
    """
    weights = np.zeros(len(strengths))
    for place, (low, high) in enumerate(pairwise(strengths)):
        left = max(low, start)
        if left < high:
            share = (left - low) / (high - low)
            weights[place] += (high - left) / 2 * (1 - share)
            weights[place + 1] += (high - left) / 2 * (1 + share)
    return weights


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

    Arguments as of ``image_areas``; ``measured`` is the first of the rows that ``measure`` returns.
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

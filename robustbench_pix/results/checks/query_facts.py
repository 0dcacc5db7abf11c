"""What must hold between queries.csv and the counts of measurements.csv, and in a row, whatever became of an image.

All failures are censored at the limit, so that the Kaplan-Meier curve is the share of images not yet fooled: the median
is where that falls to one half, and the restricted mean the area below it.
"""

from functools import partial
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from robustbench_pix.attacks.checkpoints import CHECKPOINTS, DISTANCE_AT
from robustbench_pix.results.checks.findings import Finding, found
from robustbench_pix.results.checks.outcomes import asked_attacks
from robustbench_pix.results.columns import WORST_CASE
from robustbench_pix.results.frames import KEY
from robustbench_pix.results.provenance import Provenance

FILE = "queries.csv"
ROW = [*KEY, "attack", "strength"]
DIGITS = 1e-8
"""Relative: numbers are published with ten significant digits."""


def contradicting_queries(queries: pd.DataFrame, measurements: pd.DataFrame, provenance: Provenance) -> list[Finding]:
    """Return where rows of queries.csv contradict the measurements, the attack's budget or each other, or lack."""
    expected = _counted(measurements, provenance)
    twice = queries.duplicated(ROW)
    findings = found(FILE, queries, twice, "strength", lambda row: f"the row of {row['attack']} stands there twice")
    table = queries.merge(expected, how="left", on=ROW, suffixes=("", "_expected"))
    unknown = table["n_expected"].isna()
    findings += found(FILE, table, unknown, "attack", lambda row: f"no measurement leads to a row of {row['attack']}")
    for column in ("strength_kind", "seeds", "n", "found", "limit"):
        same = (table[column] == table[f"{column}_expected"]).fillna(False).astype(bool)
        wrong = table[f"{column}_expected"].notna() & ~same
        findings += found(FILE, table, wrong, column, partial(_otherwise, column))
    there = set(queries[ROW].itertuples(index=False, name=None))
    absent = [key for key in expected[ROW].itertuples(index=False, name=None) if key not in there]
    findings += [Finding(FILE, None, "", f"the row of {', '.join(map(str, key))} is missing") for key in absent]
    return findings + _curves(queries) + _distances(queries)


def _counted(measurements: pd.DataFrame, provenance: Provenance) -> pd.DataFrame:
    """Return what the measurements say of each row: models, images right without attack, how many of them fooled."""
    single = measurements[measurements["attack"] != WORST_CASE]
    clean = single[single["strength"] == 0].set_index("attack_id")["correct"].groupby(level=0).first()
    rows = asked_attacks(measurements)
    n = rows["attack_id"].map(clean)
    lost = (rows["success_rate"].fillna(0.0) * n.astype(float)).round()
    rows = rows.assign(n=n, found=lost, budget=rows["attack_hash"].map(_budgets(provenance)))
    counts = rows.groupby(ROW, sort=False).agg(
        strength_kind=("strength_kind", "first"),
        seeds=("attack_id", "nunique"),
        n=("n", "sum"),
        found=("found", "sum"),
        limit=("budget", "first"),
    )
    return counts.reset_index()


def _budgets(provenance: Provenance) -> dict[str, float]:
    budgets = {name: attack["evaluation"]["budget"] for name, attack in provenance["attacks"].items()}
    return {name: float(budget) for name, budget in budgets.items() if budget is not None}


def _otherwise(column: str, row: dict[str, Any]) -> str:
    expected = row[f"{column}_expected"]
    told = expected if isinstance(expected, str) else f"{expected:.0f}"
    stated = "nothing" if pd.isna(row[column]) else row[column]
    return f"{row['attack']} has {stated}, but the measurements give {told}"


def _curves(queries: pd.DataFrame) -> list[Finding]:
    """Check success rates along the queries, and median and mean against them."""
    wrong = partial(found, FILE, queries)
    n, limit = (queries[name].to_numpy(float, na_value=np.nan) for name in ("n", "limit"))
    with np.errstate(divide="ignore", invalid="ignore"):
        end = queries["found"].to_numpy(float, na_value=np.nan) / n
    counts, names = np.array(CHECKPOINTS, float), [f"success_at_{count}" for count in CHECKPOINTS]
    rates = queries[names].to_numpy(float)
    known = (counts <= limit[:, None]) & (n > 0)[:, None]
    gaps = (np.isnan(rates) == known).any(axis=1)
    images = rates * n[:, None]
    parts = (np.abs(images - np.round(images)) > 1e-4).any(axis=1)
    falls = (np.diff(rates, axis=1) < -DIGITS).any(axis=1)
    beyond = (rates > end[:, None] + DIGITS).any(axis=1)
    short = ((counts == limit[:, None]) & (rates < end[:, None] - DIGITS)).any(axis=1)
    median, low, high = (queries[f"median_{name}"].to_numpy(float) for name in ("queries", "low", "high"))
    early = ((rates < 0.5 - DIGITS) & (counts >= median[:, None])).any(axis=1)
    late = ((rates > 0.5 + DIGITS) & ~(counts >= median[:, None])).any(axis=1)
    reached = np.isnan(median) == (end >= 0.5 - DIGITS)
    least, most = _areas(counts, rates, end, limit)
    mean = queries["restricted_mean"].to_numpy(float)
    outside = ~((mean >= least * (1 - DIGITS)) & (mean <= most * (1 + DIGITS))) & (n > 0)
    return [
        *wrong(gaps, names[0], lambda row: f"{row['attack']} must have a rate up to its limit, and none beyond it"),
        *wrong(parts, names[0], lambda row: f"a rate of {row['attack']} is no share of {row['n']} images"),
        *wrong(falls, names[0], lambda row: f"rates of {row['attack']} fall with more queries"),
        *wrong(beyond, names[0], lambda row: f"a rate of {row['attack']} is above {row['found']} of {row['n']} images"),
        *wrong(short, names[0], lambda row: f"at its limit {row['attack']} has not found {row['found']} images"),
        *wrong(
            (early | late | reached) & (n > 0),
            "median_queries",
            lambda row: f"the rates of {row['attack']} do not pass one half there",
        ),
        *wrong((low > median) | (median > high), "median_low", lambda row: "the median is not within its interval"),
        *wrong(outside, "restricted_mean", lambda row: f"the rates of {row['attack']} do not allow that mean"),
    ]


def _areas(
    counts: NDArray[np.floating], rates: NDArray[np.floating], end: NDArray[np.floating], limit: NDArray[np.floating]
) -> tuple[NDArray[np.floating], NDArray[np.floating]]:
    """Return the least and the most area below the share not yet fooled, up to the limit; it only falls."""
    edges = np.minimum(counts, limit[:, None])
    widths = np.diff(edges, axis=1, prepend=0.0, append=limit[:, None])
    left = 1 - np.where(np.isnan(rates), end[:, None], rates)
    before = np.concatenate([np.ones_like(end)[:, None], left], axis=1)
    after = np.concatenate([left, 1 - end[:, None]], axis=1)
    return (widths * after).sum(axis=1), (widths * before).sum(axis=1)


def _distances(queries: pd.DataFrame) -> list[Finding]:
    """Check that distances fall with more queries, and are the same at all strengths: they are of one run."""
    names = [f"{DISTANCE_AT}{count}" for count in CHECKPOINTS]
    distances = queries[names].fillna(np.inf)
    with np.errstate(invalid="ignore"):
        rises = (np.diff(distances.to_numpy(float), axis=1) > 0) & (
            np.array(CHECKPOINTS[1:]) <= queries["limit"].to_numpy(float, na_value=np.nan)[:, None]
        )
    first = distances.groupby([queries[name] for name in ROW[:-1]], sort=False).transform("first")
    others, wrong = (distances != first).any(axis=1), partial(found, FILE, queries)
    return [
        *wrong(rises.any(axis=1), names[0], lambda row: f"distances of {row['attack']} rise with more queries"),
        *wrong(others, names[0], lambda row: f"distances of {row['attack']} are others than at its first strength"),
    ]

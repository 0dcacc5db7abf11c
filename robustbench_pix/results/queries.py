"""Success rate and distance against queries, of every decision and score attack that a workspace has run.

Success is what evaluation judged, so that its rate is that of the measurements. When a distance was reached is known up
to the next of 10, 20, 30, 50, 70, 100, ... queries, and counted there. Failures are censored (Kaplan and Meier 1958).
"""

import warnings
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from robustbench_pix.attacks.recorded import CHECKPOINTS, DISTANCE_AT
from robustbench_pix.results.columns import KEY, QUERIES, typed
from robustbench_pix.results.statistics.intervals import LEVEL
from robustbench_pix.runs.plan_store import PlannedRow, Rows
from robustbench_pix.runs.store import EXAMPLES, Store

HALF_ROUNDING = 1e-12
"""The survival function is a product: what is one half may come out above it."""


class QueriesToSuccess(NamedTuple):
    """The median number of queries with its interval, NaN where it is not reached, and the mean up to a limit."""

    median: float
    low: float
    high: float
    restricted_mean: float


def queries_to_success(queries: NDArray[np.integer], found: NDArray[np.bool_], limit: int) -> QueriesToSuccess:
    """Return the Kaplan-Meier median and the restricted mean of the queries that images take.

    The interval of the median is where the band of the survival function (log-log transformed, Greenwood's variance)
    holds one half (Brookmeyer, Crowley 1982); it takes images as independent. The restricted mean is the area under
    the survival function up to the limit: the mean of min(queries, limit), failures counting as the limit.

    Args:
        queries: (N,), those of the first success, or, where none was found, all of them.
        found: (N,), whether there was a success.
        limit: in queries, at least the largest of them.

    >>> queries_to_success(np.array([10, 20, 90, 100]), np.array([True, True, True, False]), 100).restricted_mean
    55.0
    """
    from scipy.stats import CensoredData, ecdf  # takes a second to import

    if not len(queries):
        return QueriesToSuccess(np.nan, np.nan, np.nan, np.nan)
    curve: Any = ecdf(CensoredData.right_censored(queries.astype(float), ~found)).sf
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        band: Any = curve.confidence_interval(confidence_level=LEVEL, method="log-log")
    # Where nothing is left there is no width to compute, so that both ends are 0.
    lower, upper = (np.where(curve.probabilities == 0, 0.0, end.probabilities) for end in (band.low, band.high))
    edges = np.concatenate([[0.0], curve.quantiles, [float(limit)]])
    return QueriesToSuccess(
        median=_first_at_half(curve.quantiles, curve.probabilities),
        low=_first_at_half(curve.quantiles, lower),
        high=_first_at_half(curve.quantiles, upper),
        restricted_mean=float(np.diff(edges) @ np.concatenate([[1.0], curve.probabilities])),
    )


def _first_at_half(queries: NDArray[np.floating], survival: NDArray[np.floating]) -> float:
    reached = queries[survival <= 0.5 + HALF_ROUNDING]
    return float(reached[0]) if reached.size else float("nan")


ACCESSES = ("decisions", "scores")


def query_table(rows: Rows, store: Store) -> pd.DataFrame:
    """Return one line for each recipe, attack and strength above 0, images of all seeds taken together."""
    lines = [line for row in rows for line in _of_row(row, store)]
    return typed(pd.DataFrame(lines), QUERIES)


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

"""How many queries a success takes, where failures are censored and not left out: Kaplan and Meier 1958."""

import warnings
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from robustbench_pix.results.statistics.intervals import LEVEL

ROUNDING = 1e-12
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
    reached = queries[survival <= 0.5 + ROUNDING]
    return float(reached[0]) if reached.size else float("nan")

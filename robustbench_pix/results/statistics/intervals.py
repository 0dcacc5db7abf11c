"""Intervals and a test, for few seeds and for counts: pure functions on numbers."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

LEVEL = 0.95
POWER = 0.8
SMALLEST_SIGN_FLIP_SAMPLE = 6
"""Below 6 pairs even a unanimous sign has a two-sided p of 2 / 2^n > 0.05: the test could never say anything."""

Numbers = Sequence[float] | NDArray[np.floating]


def standard_error(values: Numbers) -> float:
    """Return the standard error of the mean, s / sqrt(n), with n - 1 in s; NaN for fewer than 2 values.

    >>> round(standard_error([0.80, 0.82, 0.84]), 5)
    0.01155
    """
    sample = np.asarray(values, dtype=float)
    return float(sample.std(ddof=1) / np.sqrt(sample.size)) if sample.size > 1 else float("nan")


def student_interval(values: Numbers, level: float = LEVEL) -> tuple[float, float]:
    """Return Student's interval of the mean, m -+ t(0.975, n - 1) s / sqrt(n) at 95%; NaNs for fewer than 2 values.

    >>> [round(end, 3) for end in student_interval([0.80, 0.82, 0.84])]
    [0.77, 0.87]
    """
    from scipy.special import stdtrit  # scipy.stats would take a second to import for this one quantile

    sample = np.asarray(values, dtype=float)
    if sample.size < 2:
        return float("nan"), float("nan")
    half = float(stdtrit(sample.size - 1, (1 + level) / 2)) * standard_error(sample)
    return float(sample.mean()) - half, float(sample.mean()) + half


def student_p_value(differences: Numbers) -> float:
    """Return the two-sided p of Student's paired t test of no difference; NaN for fewer than 2 values.

    >>> round(student_p_value([0.1, 0.2, 0.3]), 4)
    0.0742
    """
    from scipy.special import stdtr

    sample = np.asarray(differences, dtype=float)
    error = standard_error(sample)
    if error == 0:
        return float(sample[0] == 0)
    return float(2 * stdtr(sample.size - 1, -abs(sample.mean()) / error)) if sample.size > 1 else float("nan")


def sign_flip_p_value(differences: Numbers) -> float:
    """Return the exact two-sided p of paired differences: the share of all 2^n sign flips with as large an abs(mean).

    Sums of flips are formed for the two halves of the differences and paired by sorting, so that 40 differences take
    2^20 numbers and not 2^40. NaN for fewer than 6 differences.

    >>> sign_flip_p_value([0.1, 0.2, 0.1, 0.3, 0.2, 0.1]) == 2 / 2**6
    True
    """
    sample = np.asarray(differences, dtype=float)
    if sample.size < SMALLEST_SIGN_FLIP_SAMPLE:
        return float("nan")
    # Equal sums differ by rounding, according to the order in which they were formed: they must count as equal.
    limit = abs(sample.sum()) - 1e-12 * np.abs(sample).sum()
    if limit <= 0:
        return 1.0
    first, second = _flipped_sums(sample[: sample.size // 2]), np.sort(_flipped_sums(sample[sample.size // 2 :]))
    # The flips come in pairs of opposite sums: counting the positive ones and doubling counts both tails.
    extreme = (second.size - np.searchsorted(second, limit - first, side="left")).sum()
    return float(2 * extreme / 2**sample.size)


def _flipped_sums(sample: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the sums of a sample under all 2^n flips of its signs."""
    sums = np.zeros(1)
    for value in sample:
        sums = np.concatenate([sums + value, sums - value])
    return sums


def holm(p_values: Numbers) -> NDArray[np.float64]:
    """Return p-values corrected for their number: sorted, max over j <= i of (m - j + 1) p_j, at most 1 (Holm 1979).

    >>> holm([0.01, 0.04, 0.03]).tolist()
    [0.03, 0.06, 0.06]
    """
    sample = np.asarray(p_values, dtype=float)
    order = np.argsort(sample, kind="stable")
    corrected = np.empty_like(sample)
    corrected[order] = np.minimum(np.maximum.accumulate(sample[order] * np.arange(sample.size, 0, -1)), 1)
    return corrected


def detectable_difference(differences: Numbers) -> float:
    """Return the true mean that a two-sided t test at 5% finds in 80% of cases, with this n and this spread.

    delta s / sqrt(n), with delta the noncentrality at which Student's noncentral t with n - 1 degrees of freedom
    exceeds the critical value with probability 0.8 (a finding of the wrong sign is none). NaN for fewer than 2 values.
    """
    from scipy.special import nctdtrinc, stdtrit

    sample = np.asarray(differences, dtype=float)
    if sample.size < 2:
        return float("nan")
    freedom = sample.size - 1
    return float(nctdtrinc(freedom, 1 - POWER, stdtrit(freedom, (1 + LEVEL) / 2))) * standard_error(sample)


def wilson_interval(correct: int, n: int) -> tuple[float, float]:
    """Return Wilson's 95% interval of a share of n independent images, without continuity correction; NaNs for n = 0.

    (p + z^2 / 2n -+ z sqrt(p (1 - p) / n + z^2 / 4n^2)) / (1 + z^2 / n), with z the 0.975 quantile of the normal.

    >>> [round(end, 3) for end in wilson_interval(90, 100)]
    [0.826, 0.945]
    """
    from scipy.special import ndtri

    if n == 0:
        return float("nan"), float("nan")
    share, square = correct / n, float(ndtri((1 + LEVEL) / 2)) ** 2 / n
    half = np.sqrt(square * (share * (1 - share) + square / 4))
    low, high = (share + square / 2 - half) / (1 + square), (share + square / 2 + half) / (1 + square)
    return max(float(low), 0.0), min(float(high), 1.0)

"""Intervals and tests for few seeds and for counts: pure functions on numbers.

Trainings and test images are crossed: every model judges the same images. The mean over n seeds has the variance
s^2 / n + V, with s^2 the variance over seeds and V what the choice of images adds, from the influence of each image on
the mean (the infinitesimal jackknife; Efron 2014, Estimation and accuracy after model selection). The part of V in
which seeds and images interact is in s^2 / n as well. It is left in both: taking its estimate out again makes intervals
of few seeds too narrow (93% instead of 95% in simulation), leaving it in makes those of differences too wide (97%).
Degrees of freedom are Satterthwaite's. ``benchmarks/results/verdicts.md`` has the coverage.
"""

from collections.abc import Sequence
from typing import NamedTuple

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


class Sampled(NamedTuple):
    """What the choice of test images adds to the variance of a mean over seeds.

    Attributes:
        variance: sum over images of the squared influence on the mean.
        images: how many were judged, by the attack that judged the fewest.
    """

    variance: float
    images: int


class Estimate(NamedTuple):
    """A mean over seeds; ``low`` to ``high`` is the wider 95% interval, NaN where there is none.

    ``seeds_low`` to ``seeds_high`` is over seeds alone, as is the standard error. ``p_value`` is two-sided, of a mean
    of 0: the larger one of both intervals' t tests.
    """

    mean: float
    standard_error: float
    seeds_low: float
    seeds_high: float
    low: float
    high: float
    p_value: float

    def __neg__(self) -> "Estimate":
        ends = {"seeds_low": -self.seeds_high, "seeds_high": -self.seeds_low, "low": -self.high, "high": -self.low}
        return self._replace(mean=-self.mean, **ends)

    def named(self, name: str) -> dict[str, float]:
        """Return the four ends of the intervals, called after what they are of."""
        ends = ("low", "high", "seeds_low", "seeds_high")
        return {f"{name}_{end}" if name else end: getattr(self, end) for end in ends}


def estimate(values: NDArray[np.floating], sampled: Sampled | None) -> Estimate:
    """Return the mean of one value a seed with its intervals.

    Where the variance over images is not known both intervals are over seeds. The wider interval is never narrower than
    that over seeds, though with few seeds the larger number of degrees of freedom alone would make it so. Of one value
    there is no interval here: nothing is known of other seeds.

    Args:
        values: (seeds,).
        sampled: of their mean, where it is known.
    """
    if not len(values):
        return Estimate(*[float("nan")] * 7)
    error, (low, high), p_value = standard_error(values), student_interval(values), student_p_value(values)
    mean, half = float(values.mean()), (high - low) / 2
    wide = half
    if sampled is not None and len(values) > 1 and sampled.images > 1:
        from scipy.special import stdtr, stdtrit

        freedom, combined = satterthwaite(error**2, len(values) - 1, sampled.variance, sampled.images - 1)
        wide = max(half, float(stdtrit(freedom, (1 + LEVEL) / 2)) * combined)
        p_value = max(p_value, float(2 * stdtr(freedom, -abs(mean) / combined)) if combined else 0.0)
    return Estimate(mean, error, low, high, mean - wide, mean + wide, p_value)


def of_one_model(value: float, sampled: Sampled | None) -> Estimate:
    """Return the number of a model that nobody trains anew, with its interval over test images."""
    nothing = float("nan")
    if sampled is None or sampled.images < 2:
        return Estimate(value, *[nothing] * 6)
    from scipy.special import stdtrit

    half = float(stdtrit(sampled.images - 1, (1 + LEVEL) / 2)) * sampled.variance**0.5
    return Estimate(value, nothing, nothing, nothing, value - half, value + half, nothing)


def satterthwaite(first: float, first_freedom: int, second: float, second_freedom: int) -> tuple[float, float]:
    """Return the degrees of freedom of a sum of two variances (Satterthwaite 1946), and its root.

    >>> satterthwaite(1.0, 6, 0.0, 499), tuple(round(value, 3) for value in satterthwaite(1.0, 6, 1.0, 499))
    ((6.0, 1.0), (23.715, 1.414))
    """
    both = first + second
    if not both:
        return float(first_freedom), 0.0
    return both**2 / (first**2 / first_freedom + second**2 / second_freedom), float(both**0.5)

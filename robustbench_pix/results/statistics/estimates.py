"""A mean over seeds with two intervals: over seeds, and over seeds and test images together.

Trainings and test images are crossed: every model judges the same images. The mean over n seeds has the variance
s^2 / n + V, with s^2 the variance over seeds and V what the choice of images adds, from the influence of each image on
the mean (the infinitesimal jackknife; Efron 2014, Estimation and accuracy after model selection). The part of V in
which seeds and images interact is in s^2 / n as well. It is left in both: taking its estimate out again makes intervals
of few seeds too narrow (93% instead of 95% in simulation), leaving it in makes those of differences too wide (97%).
Degrees of freedom are Satterthwaite's. ``benchmarks/results/verdicts.md`` has the coverage.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from robustbench_pix.results.statistics.intervals import LEVEL, standard_error, student_interval, student_p_value


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
        return self._replace(
            mean=-self.mean, seeds_low=-self.seeds_high, seeds_high=-self.seeds_low, low=-self.high, high=-self.low
        )

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

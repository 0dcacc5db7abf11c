import subprocess
import sys
from itertools import product

import numpy as np
import pytest
from scipy import stats

from robustbench_pix.results.statistics import sign_flip_p_value, student_interval, wilson_interval


@pytest.mark.parametrize("n", [2, 3, 7, 40])
def test_student_interval_is_scipys(n):
    values = np.random.default_rng(n).normal(0.7, 0.1, n)
    expected = stats.t.interval(0.95, n - 1, loc=values.mean(), scale=stats.sem(values))
    assert student_interval(values) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("values", [[], [0.5]])
def test_student_interval_needs_two_values(values):
    assert np.isnan(student_interval(values)).all()


@pytest.mark.parametrize("n", [6, 7, 10, 13])
@pytest.mark.parametrize("shift", [0.0, 0.3, -1.0])
def test_sign_flip_is_scipys_exact_permutation_test(n, shift):
    differences = np.random.default_rng(n).normal(shift, 1, n)
    expected = stats.permutation_test(
        (differences,), lambda x, axis: x.mean(axis), permutation_type="samples", vectorized=True, n_resamples=np.inf
    )
    assert sign_flip_p_value(differences) == pytest.approx(expected.pvalue, rel=1e-12)


@pytest.mark.parametrize(
    "differences", [[0.1] * 6, [0.1] * 6 + [-0.1] * 3, [0.0] * 8, [0.3, 0.1, 0.2, -0.1, -0.2, -0.3], [1, 2, 3, 0, 0, 0]]
)
def test_sign_flip_counts_equal_sums_as_equal(differences):
    sums = [
        abs(sum(sign * round(10 * value) for sign, value in zip(signs, differences, strict=True)))
        for signs in product((1, -1), repeat=len(differences))
    ]
    expected = np.mean([total >= abs(sum(round(10 * value) for value in differences)) for total in sums])
    assert sign_flip_p_value(differences) == expected


def test_sign_flip_is_exact_for_many_seeds():
    assert sign_flip_p_value(np.linspace(0.1, 0.2, 32)) == 2 / 2**32
    assert np.isnan(sign_flip_p_value([0.1] * 5))


@pytest.mark.parametrize(("correct", "n"), [(0, 10), (10, 10), (1, 3), (437, 500), (9_876, 10_000)])
def test_wilson_interval_is_scipys(correct, n):
    expected = stats.binomtest(correct, n).proportion_ci(0.95, "wilson")
    assert wilson_interval(correct, n) == pytest.approx(tuple(expected), rel=1e-9, abs=1e-12)


def test_wilson_interval_of_nothing():
    assert np.isnan(wilson_interval(0, 0)).all()


def test_scipy_stats_is_not_imported():
    code = "import sys, robustbench_pix.results.statistics as s; s.student_interval([1, 2]); s.wilson_interval(1, 2)"
    code += "; sys.exit('scipy.stats' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)

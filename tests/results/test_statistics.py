import subprocess
import sys
from itertools import product

import numpy as np
import pytest
from scipy import stats

from robustbench_pix.results.statistics.intervals import (
    detectable_difference,
    holm,
    sign_flip_p_value,
    standard_error,
    student_interval,
    student_p_value,
    wilson_interval,
)


@pytest.mark.parametrize("n", [2, 3, 7, 40])
def test_student_interval_is_scipys(n):
    values = np.random.default_rng(n).normal(0.7, 0.1, n)
    expected = stats.t.interval(0.95, n - 1, loc=values.mean(), scale=stats.sem(values))
    assert student_interval(values) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize(("n", "level"), [(2, 0.9), (7, 0.99)])
def test_student_interval_at_other_levels(n, level):
    values = np.random.default_rng(n).normal(0.7, 0.1, n)
    expected = stats.t.interval(level, n - 1, loc=values.mean(), scale=stats.sem(values))
    assert student_interval(values, level) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("n", [2, 3, 7, 40])
def test_standard_error_and_t_test_are_scipys(n):
    values = np.random.default_rng(n).normal(0.3, 1, n)
    assert standard_error(values) == pytest.approx(stats.sem(values), rel=1e-12)
    assert student_p_value(values) == pytest.approx(stats.ttest_1samp(values, 0).pvalue, rel=1e-10)


def test_a_t_test_without_spread_or_without_values():
    assert (student_p_value([0.1, 0.1]), student_p_value([0.0, 0.0])) == (0, 1)
    assert np.isnan([student_p_value([0.1]), standard_error([0.1]), detectable_difference([0.1])]).all()


@pytest.mark.parametrize("seed", range(4))
def test_holm_rejects_what_the_step_down_procedure_rejects(seed):
    p_values = np.round(np.random.default_rng(seed).beta(0.3, 2, 9), 3)
    corrected = holm(p_values)
    for level in (0.01, 0.05, 0.2, 0.7):
        rejected = set()
        for step, place in enumerate(sorted(range(9), key=lambda place: p_values[place])):
            if p_values[place] > level / (9 - step):
                break
            rejected.add(place)
        assert set(np.flatnonzero(corrected <= level)) == rejected
    assert corrected.max() <= 1


@pytest.mark.parametrize("n", [2, 3, 5, 7, 20])
def test_a_detectable_difference_is_found_in_four_of_five_simulated_experiments(n):
    values = np.random.default_rng(n).normal(0, 0.7, n)
    true = detectable_difference(values)
    experiments = np.random.default_rng(n + 1).normal(true, values.std(ddof=1), (20_000, n))
    tested = stats.ttest_1samp(experiments, 0, axis=1)
    found = ((tested.pvalue <= 0.05) & (tested.statistic > 0)).mean()
    assert found == pytest.approx(0.8, abs=3 * np.sqrt(0.8 * 0.2 / 20_000))


@pytest.mark.parametrize("n", [3, 5, 7])
def test_intervals_cover_the_truth_in_95_percent_of_simulated_experiments(n):
    experiments = np.random.default_rng(n).normal(0.02, 0.01, (3_000, n))
    ends = np.array([student_interval(values) for values in experiments])
    covered = ((ends[:, 0] <= 0.02) & (ends[:, 1] >= 0.02)).mean()
    assert covered == pytest.approx(0.95, abs=3 * np.sqrt(0.95 * 0.05 / 3_000))


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
    code = "import sys, robustbench_pix.results.statistics.intervals as s"
    code += "; s.student_interval([1, 2]); s.wilson_interval(1, 2)"
    code += "; s.detectable_difference([1, 2]); s.student_p_value([1, 2])"
    code += "; sys.exit('scipy.stats' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)

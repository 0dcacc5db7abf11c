"""Queries to a success: the product-limit estimate by hand, means by brute force, coverage by simulation."""

import numpy as np
import pytest

from robustbench_pix.results.queries import queries_to_success


def product_limit(queries, found):
    """Return the survival function by Kaplan and Meier's product, as pairs (queries, share without a success)."""
    share, steps = 1.0, [(0, 1.0)]
    for count in sorted(set(queries)):
        at_risk = sum(asked >= count for asked in queries)
        successes = sum(asked == count and success for asked, success in zip(queries, found, strict=True))
        share *= 1 - successes / at_risk
        steps.append((count, share))
    return steps


@pytest.mark.parametrize("seed", range(5))
def test_median_and_mean_are_those_of_the_product_limit(seed):
    generator = np.random.default_rng(seed)
    queries, found = generator.integers(1, 200, 40), generator.random(40) < 0.7
    result = queries_to_success(queries, found, 250)
    steps = product_limit(queries.tolist(), found.tolist())
    median = next((count for count, share in steps if share <= 0.5), np.nan)
    ends = [count for count, _ in steps[1:]] + [250]
    area = sum(share * (end - count) for (count, share), end in zip(steps, ends, strict=True))
    assert result.median == pytest.approx(median, nan_ok=True)
    assert result.restricted_mean == pytest.approx(area)


def test_with_failures_at_the_budget_only_the_mean_is_that_of_the_spent_queries():
    queries, found = np.array([3, 50, 80, 100, 100]), np.array([True, True, True, False, False])
    result = queries_to_success(queries, found, 100)
    assert result.median == 80
    assert result.restricted_mean == pytest.approx(queries.mean())


def test_a_median_that_is_not_reached_is_nan_and_not_the_median_of_the_successes():
    result = queries_to_success(np.array([5, 6, 100, 100, 100]), np.array([True, True, False, False, False]), 100)
    assert np.isnan([result.median, result.high]).all()
    assert np.isnan(queries_to_success(np.zeros(0, int), np.zeros(0, bool), 100).median)


@pytest.mark.parametrize("images", [24, 38, 44, 64, 200])
def test_exactly_one_half_is_one_half_in_spite_of_rounding(images):
    found = np.arange(images) < images // 2
    result = queries_to_success(np.where(found, np.arange(images) + 7, 1000), found, 1000)
    assert result.median == images // 2 + 6


def test_all_that_succeed_have_an_upper_end():
    result = queries_to_success(np.arange(1, 30), np.ones(29, bool), 100)
    assert result.low < result.median == 15 < result.high < 30


@pytest.mark.parametrize(
    ("queries", "expected"), [((10, 20, 30), (20, 10, 30)), ((10, 10, 10), (10, 10, 10)), ((40,), (40, 40, 40))]
)
def test_the_last_success_of_all_ends_the_interval_if_nothing_did_before(queries, expected):
    """Where nothing is left, the survival function is 0, and so is its band, which no formula gives."""
    result = queries_to_success(np.array(queries), np.ones(len(queries), bool), 100)
    assert (result.median, result.low, result.high) == expected


def test_the_interval_covers_the_median_as_often_as_it_says():
    generator, covered = np.random.default_rng(0), 0
    for _ in range(400):
        true, limit = np.ceil(generator.exponential(100, 60)).astype(int), 150
        result = queries_to_success(np.minimum(true, limit), true <= limit, limit)
        covered += result.low <= np.ceil(100 * np.log(2)) and not result.high < np.ceil(100 * np.log(2))
    assert 0.925 < covered / 400 < 0.985

"""Ranks, their intervals and groups: by hand, by brute force, and by simulation."""

from itertools import combinations

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from robustbench_pix.results.statistics.ranks import ranks
from robustbench_pix.runs.request import GIVEN_SEED


def scores(**values):
    return {name: pd.Series(dict(enumerate(of_seeds)), dtype=float) for name, of_seeds in values.items()}


def simulated(random, means, seeds=5):
    shared = random.normal(0, 0.05, seeds)
    drawn = {f"r{place}": mean + shared + random.normal(0, 0.02, seeds) for place, mean in enumerate(means)}
    return scores(**drawn)


def wide_p_values(found):
    """Return the p of the paired t test of every pair."""
    return {frozenset(pair): stats.ttest_rel(found[pair[0]], found[pair[1]]).pvalue for pair in combinations(found, 2)}


@pytest.mark.parametrize("seed", range(8))
def test_ranks_follow_from_scipys_paired_t_tests(seed):
    random = np.random.default_rng(seed)
    found = simulated(random, random.uniform(0, 0.15, 6))
    tests, means = wide_p_values(found), {name: values.mean() for name, values in found.items()}
    for name, rank in ranks(found).items():
        apart = {other: tests[frozenset((name, other))] for other in found if other != name}
        assert rank.rank == 1 + sum(p < 0.05 and means[other] > means[name] for other, p in apart.items())
        assert rank.rank_low == 1 + sum(p < 0.05 / 5 and means[other] > means[name] for other, p in apart.items())
        assert rank.rank_high == 6 - sum(p < 0.05 / 5 and means[other] < means[name] for other, p in apart.items())


@pytest.mark.parametrize("seed", range(8))
def test_groups_are_the_largest_sets_in_which_no_two_are_told_apart(seed):
    random = np.random.default_rng(seed)
    found = simulated(random, random.uniform(0, 0.2, 7))
    tests, ranked = wide_p_values(found), ranks(found)
    together = [
        set(names)
        for count in range(1, 8)
        for names in combinations(found, count)
        if all(tests[frozenset(pair)] >= 0.05 / 6 for pair in combinations(names, 2))
    ]
    expected = [names for names in together if not any(names < other for other in together)]
    letters = sorted({letter for rank in ranked.values() for letter in rank.group.split(",")})
    groups = [{name for name, rank in ranked.items() if letter in rank.group.split(",")} for letter in letters]
    assert sorted(map(sorted, groups)) == sorted(map(sorted, expected))
    assert ranked[max(found, key=lambda name: found[name].mean())].group.startswith("a")


def test_the_simulations_have_several_groups():
    random = np.random.default_rng(0)
    found = ranks(simulated(random, random.uniform(0, 0.2, 7)))
    assert len({rank.group for rank in found.values()}) > 2


def test_95_percent_of_rank_intervals_hold_the_true_rank():
    random, held, count, narrower = np.random.default_rng(0), 0, 300, 0
    means = [0.3, 0.25, 0.25001, 0.22, 0.1]
    for _ in range(count):
        found = ranks(simulated(random, means))
        truth = {f"r{place}": 1 + sum(other > mean for other in means) for place, mean in enumerate(means)}
        held += sum(rank.rank_low <= truth[name] <= rank.rank_high for name, rank in found.items())
        narrower += sum(rank.rank_high - rank.rank_low < 4 for rank in found.values())
        assert all(rank.rank_low <= rank.rank <= rank.rank_high for rank in found.values())
    assert held / count / 5 >= 0.95
    assert narrower > count


def test_one_seed_tells_nothing_apart():
    found = ranks(scores(a=[0.9], b=[0.1], c=[0.5]))
    assert {rank[:] for rank in found.values()} == {(1, 1, 3, "a")}


def test_who_has_no_rank():
    lone = {"c": pd.Series({9: 0.5}), "given": pd.Series({GIVEN_SEED: 0.9}), "nothing": pd.Series(dtype=float)}
    assert set(ranks(scores(a=[0.1, 0.2], b=[0.3, 0.4]) | lone)) == {"a", "b"}
    assert ranks({"given": lone["given"]})["given"] == (1, 1, 1, "a")
    assert ranks({"nothing": lone["nothing"]}) == {}

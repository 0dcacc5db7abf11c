"""Ranks, their intervals and groups follow from the verdicts: by hand and by brute force."""

from itertools import combinations

import numpy as np
import pandas as pd
import pytest

from benchmarks.crossed import recipe_of
from robustbench_pix.results.statistics.sampling import SettingSampling
from robustbench_pix.results.statistics.verdicts import BETTER, NOT_SIGNIFICANT, ranks, verdicts
from robustbench_pix.runs.request import EXTERNAL_SEED


def mean_aucs(**values):
    return {name: pd.Series(dict(enumerate(of_seeds)), dtype=float) for name, of_seeds in values.items()}


def compared(found):
    return verdicts([recipe_of(name, values) for name, values in found.items()], SettingSampling())


def ranked(found):
    return ranks(found, compared(found))


def simulated(seed, recipes=7, largest=0.2, seeds=7):
    random = np.random.default_rng(seed)
    shared = random.normal(0, 0.05, seeds)
    drawn = {
        f"r{place}": random.uniform(0, largest) + shared + random.normal(0, 0.02, seeds) for place in range(recipes)
    }
    return mean_aucs(**drawn)


@pytest.mark.parametrize("seed", range(8))
def test_ranks_count_verdicts(seed):
    found = simulated(seed, recipes=6)
    said = compared(found)
    for name, rank in ranks(found, said).items():
        above = sum(said[other, name].verdict == BETTER for other in found if other != name)
        below = sum(said[name, other].verdict == BETTER for other in found if other != name)
        assert rank[:3] == (1 + above, 1 + above, 6 - below)


@pytest.mark.parametrize("seed", range(8))
def test_groups_are_the_largest_sets_in_which_no_difference_is_significant(seed):
    found = simulated(seed)
    said, of = compared(found), ranked(found)
    together = [
        set(names)
        for count in range(1, 8)
        for names in combinations(found, count)
        if all(said[pair].verdict == NOT_SIGNIFICANT for pair in combinations(names, 2))
    ]
    expected = [names for names in together if not any(names < other for other in together)]
    letters = sorted({letter for rank in of.values() for letter in rank.group.split(",")})
    groups = [{name for name, rank in of.items() if letter in rank.group.split(",")} for letter in letters]
    assert sorted(map(sorted, groups)) == sorted(map(sorted, expected))
    assert of[max(found, key=lambda name: found[name].mean())].group.startswith("a")


def test_the_simulations_have_several_groups():
    assert len({rank.group for rank in ranked(simulated(0)).values()}) > 2


def test_below_six_seeds_nobody_has_a_rank():
    clear = mean_aucs(a=[0.9, 0.91, 0.92, 0.93, 0.94], b=[0.1, 0.12, 0.11, 0.13, 0.1], c=[0.5, 0.5, 0.52, 0.51, 0.5])
    assert ranked(clear) == {}


def test_who_has_no_rank():
    lone = {
        "few": pd.Series({0: 0.9, 1: 0.9}),
        "elsewhere": pd.Series(dict.fromkeys(range(20, 28), 0.5)),
        "given": pd.Series({EXTERNAL_SEED: 0.9}),
        "nothing": pd.Series(dtype=float),
    }
    pair = mean_aucs(a=[0.1, 0.2, 0.3, 0.2, 0.1, 0.2], b=[0.2, 0.2, 0.1, 0.1, 0.1, 0.1])
    assert ranked(pair | lone) == ranked(pair) == dict.fromkeys("ab", (1, 1, 2, "a"))
    for name, values in lone.items():
        assert ranked({name: values}) == {}

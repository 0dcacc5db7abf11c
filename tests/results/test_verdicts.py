"""The one verdict: each p-value by scipy, Holm's correction over all pairs, and how often it is false by simulation."""

from itertools import combinations

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from benchmarks.crossed import Design, drawn, judged, rates, recipe_of
from robustbench_pix.results.statistics.sampling import SettingSampling
from robustbench_pix.results.statistics.verdicts import FEWEST_SEEDS, needed, verdicts


def recipes_of(mean_aucs):
    return [recipe_of(f"r{place}", pd.Series(of_seeds)) for place, of_seeds in enumerate(mean_aucs)]


def named(pair):
    return f"r{pair[0]}", f"r{pair[1]}"


@pytest.mark.parametrize("key", range(4))
def test_verdicts_are_scipys_paired_t_tests_after_holms_steps(key):
    mean_aucs = np.random.default_rng(key).normal(0, 0.02, (5, 7)) + 0.03 * np.arange(5)[:, None]
    found = verdicts(recipes_of(mean_aucs), SettingSampling())
    tests = {pair: stats.ttest_rel(mean_aucs[pair[0]], mean_aucs[pair[1]]) for pair in combinations(range(5), 2)}
    going = True
    for step, pair in enumerate(sorted(tests, key=lambda pair: tests[pair].pvalue)):
        going = going and tests[pair].pvalue <= 0.05 / (10 - step)
        one = found[named(pair)]
        expected = ("better" if tests[pair].statistic > 0 else "worse") if going else "not significant"
        assert one.verdict == expected
        assert (one.difference.low, one.difference.high) == pytest.approx(tuple(tests[pair].confidence_interval()))
        assert one.difference.p_value == pytest.approx(tests[pair].pvalue)
        back = found[named(pair[::-1])]
        assert back.verdict == {"better": "worse", "worse": "better"}.get(expected, expected)
        assert (back.difference.low, back.difference.mean) == (-one.difference.high, -one.difference.mean)


def test_below_six_common_seeds_there_is_no_verdict_and_it_says_how_many_are_needed():
    """On the starting commit the same three seeds gave the letters a and b, and the word better."""
    mean_aucs = np.array([[0.1, 0.11, 0.12, 0.1, 0.11], [0.9, 0.91, 0.92, 0.9, 0.91]])
    for seeds in (1, 3, 5):
        one = verdicts(recipes_of(mean_aucs[:, :seeds]), SettingSampling())["r1", "r0"]
        assert (one.verdict, one.seeds) == ("too few seeds", seeds)
        assert np.isnan(one.p_adjusted)
    assert needed(3) == "3 seeds: too few for a verdict; 6 needed: rbp run --seeds 6"
    assert FEWEST_SEEDS == 6


def test_only_pairs_with_enough_seeds_count_in_the_correction():
    random = np.random.default_rng(0)
    many, few = random.normal(0.5, 0.05, (2, 8)), random.normal(0.5, 0.05, (3, 4))
    mixed = verdicts(recipes_of([*many, *few]), SettingSampling())
    alone = verdicts(recipes_of(many), SettingSampling())
    assert mixed["r0", "r1"] == alone["r0", "r1"]


@pytest.mark.parametrize(
    "design",
    [
        Design(images=100, few=50),
        Design(images=60, few=30, recipe_image=1.0),
        Design(images=60, few=30, training=0.5, correlation=0.6),
        Design(images=60, few=30, training=0.5, correlation=-0.6),
    ],
)
def test_without_an_effect_at_most_5_percent_of_boards_say_anything_false(design):
    """Any verdict, letter or rank interval counts; benchmarks/results/verdicts.md has more boards and designs."""
    random, boards = np.random.default_rng(5), 60
    false = sum(judged(drawn(design, random)).false for _ in range(boards))
    assert false <= stats.binom.ppf(0.999, boards, 0.05)


def test_uncorrected_pairs_or_seeds_alone_would_be_false_more_often():
    """What the starting commit did: letters from uncorrected intervals over seeds."""
    random, boards, uncorrected, alone = np.random.default_rng(6), 40, 0, 0
    for _ in range(boards):
        board = drawn(Design(images=60, few=30, recipe_image=1.0), random)
        pairs = judged(board, images=False).comparisons.values()
        uncorrected += any(one.difference.p_value < 0.05 for one in pairs)
        alone += any(one.verdict in ("better", "worse") for one in pairs)
    assert uncorrected / boards > 0.5
    assert alone / boards > 0.1


def test_true_differences_are_found():
    board = drawn(Design(training=0.05, images=150), np.random.default_rng(0))
    moved = [recipe_of(recipe.name, recipe.mean_aucs + 0.1 * place) for place, recipe in enumerate(board.recipes)]
    found = verdicts(moved, board.sampling)
    assert {found[f"r{place + 1}", f"r{place}"].verdict for place in range(5)} == {"better"}


def test_intervals_over_seeds_and_images_cover_and_those_over_seeds_alone_do_not():
    found = rates(Design(images=100, few=50), 60)
    assert 90 <= found["mean AUC covered %"] <= 99
    assert found["difference covered %"] >= 93
    assert found["mean AUC, seeds alone %"] < 85

"""Two recipes beside each other: numbers by scipy, and what is said where they cannot be paired."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from robustbench_pix.leaderboard.terminal.pair_text import attack_rows, sentences, title
from robustbench_pix.results.statistics.aggregation import build_leaderboard
from robustbench_pix.results.statistics.comparisons import build_comparisons, difference
from robustbench_pix.results.statistics.pair import Pair, pairs
from tests.tables import ATTACKS, block, measurements, rows

SEEDS = range(7)
TWO = ("thresholded", "shuffled")


def test_the_score_is_compared_as_in_comparisons_and_attacks_as_scipy_does():
    measured, asked = measurements(seeds=SEEDS), rows(seeds=SEEDS)
    (pair,) = pairs(measured, asked, *TWO)
    table = build_comparisons(measured, asked).set_index(["recipe", "reference"])
    for name in ("difference", "standard_error", "low", "high", "p_value", "detectable", "seeds"):
        assert pair.lines[0][name] == table.loc[TWO, name]
    assert [line["measure"] for line in pair.lines] == ["score", *ATTACKS]
    ends = measured[measured["strength"] == 0.5].set_index(["recipe", "attack", "seed"])["area"].sort_index() / 0.5
    for line, cells in zip(pair.lines[1:], attack_rows(pair, *TWO), strict=True):
        first, second = (ends[recipe, line["measure"]] for recipe in TWO)
        test = stats.ttest_rel(first, second)
        assert (line["first"], line["second"]) == pytest.approx((first.mean(), second.mean()))
        assert (line["low"], line["high"]) == pytest.approx(tuple(test.confidence_interval()))
        assert (line["verdict"] == "better") == (test.pvalue < 0.05 and test.statistic > 0)
        half = stats.t.ppf(0.975, 6) * stats.sem(first.to_numpy() - second.to_numpy())
        shown = [float(cells[name].strip("±")) for name in (*TWO, "difference", "95%")]
        wanted = [first.mean(), second.mean(), first.mean() - second.mean(), half]
        assert shown == pytest.approx(wanted, abs=5.1e-4)


def test_exchanged_recipes_exchange_the_verdict():
    measured, asked = measurements(seeds=SEEDS), rows(seeds=SEEDS)
    (there,), (back,) = pairs(measured, asked, *TWO), pairs(measured, asked, *TWO[::-1])
    assert there.lines[0]["verdict"] == "better"
    assert back.lines[0]["verdict"] == "worse"
    assert there.lines[0]["difference"] == -back.lines[0]["difference"]
    assert sentences(there, *TWO)[0].startswith("thresholded is better than shuffled: its score is .309 higher (95%")
    assert "is worse than" in sentences(back, *TWO[::-1])[0]
    assert sentences(back, *TWO[::-1])[1] == "Each attack by itself: worse under every attack."


def test_only_blocks_that_have_both_are_shown_and_the_means_are_over_shared_seeds():
    measured = pd.concat([measurements(seeds=SEEDS), measurements(block("mnist", "mnist"), recipes=("thresholded",))])
    asked = pd.concat([rows(seeds=SEEDS), rows(block("mnist", "mnist"), recipes=("thresholded",))])
    asked.loc[asked["recipe"] == "shuffled", "seed_list"] = "1,2,3"
    (pair,) = pairs(measured, asked, *TWO)
    assert pair.block["task"] == "digits"
    assert title(pair.block) == "digits : digits  suite blackbox 1, network small, gray, float32"
    some = build_leaderboard(measured, rows(seeds=(1, 2, 3))).set_index("recipe")
    assert pair.lines[0]["first"] == pytest.approx(some.loc["thresholded", "score"])
    assert pair.lines[0]["seeds"] == 3
    assert "no test: 3 seeds, smallest p would be .25" in sentences(pair, *TWO)[0]


def test_what_cannot_be_said():
    one = pairs(measurements(seeds=(0,)), rows(seeds=(0,)), *TWO)[0]
    (said,) = sentences(one, *TWO)
    assert said.startswith("One seed tells nothing of thresholded and shuffled: the score of thresholded is .2")
    assert said.endswith(" higher.")
    none = pairs(measurements(), rows(), "neural", "pixel")[0]
    assert sentences(none, "neural", "pixel") == ["neural and pixel share no seed, so nothing pairs them."]
    measured = measurements(recipes=TWO)
    lost = measured[(measured["recipe"] != "shuffled") | (measured["attack"] != "uniform")]
    partly = pairs(lost, rows(recipes=TWO), *TWO)[0]
    assert [line["measure"] for line in partly.lines] == [attack for attack in ATTACKS if attack != "uniform"]
    assert sentences(partly, *TWO)[0] == "No seed of both has every attack of the suite."


def test_mixed_verdicts_name_their_attacks():
    measured, asked = measurements(seeds=SEEDS), rows(seeds=SEEDS)
    worse = (measured["recipe"] == "thresholded") & (measured["attack"] == "boundary")
    measured.loc[worse, "area"] *= 0.5
    (pair,) = pairs(measured, asked, *TWO)
    assert sentences(pair, *TWO)[1] == (
        "Each attack by itself: better under gaussian, uniform, salt-and-pepper, transfer-fgsm; worse under boundary."
    )


@pytest.mark.parametrize(
    ("gains", "said"),
    [
        ((0.1, 0.2, 0.1, 0.3, 0.2, 0.1, 0.2), "better than shuffled: "),
        ((0.4, 0.5, 0.4, 0.5, 0.4, 0.5, -0.01), "better than shuffled: "),
        ((0.2, 0.3, 0.2, 0.3, 0.2, -0.05, -0.04), "better than shuffled by the interval, though the exact test says"),
        ((0.01, 0.01, 0.01, 0.01, 0.01, 0.01, 2.0), "apart from shuffled by the interval, though the exact test says"),
        ((0.01, -0.01, 0.01, -0.01, 0.01, -0.01, 0.02), "apart from shuffled: "),
        ((0.2, 0.3, 0.2), "better than shuffled: "),
    ],
)
def test_where_interval_and_exact_test_disagree_both_are_told(gains, said):
    line = {"measure": "score", "first": 0.5, "second": 0.4, **difference(np.array(gains))}
    line["verdict"] = "better" if line["low"] > 0 else "not told apart"
    exact = stats.permutation_test((gains,), np.mean, permutation_type="samples", n_resamples=np.inf).pvalue
    assert ("though" in said) == (len(gains) > 5 and (exact <= 0.05) != (line["verdict"] == "better"))
    assert said in sentences(Pair({}, [line]), *TWO)[0]

"""Two recipes beside each other: numbers by scipy, and what is said where they cannot be paired."""

import pandas as pd
import pytest
from scipy import stats

from robustbench_pix.leaderboard.captions import setting_title
from robustbench_pix.leaderboard.terminal.comparison_text import attack_rows, sentences
from robustbench_pix.results.statistics.aggregation import build_leaderboard
from robustbench_pix.results.statistics.comparisons import build_comparisons, pairs
from robustbench_pix.results.statistics.measured import settings
from tests.tables import ATTACKS, block, measurements, rows

SEEDS = range(7)
TWO = ("thresholded", "shuffled")


def test_the_score_is_compared_as_in_comparisons_and_attacks_as_scipy_does():
    measured, asked = measurements(seeds=SEEDS), rows(seeds=SEEDS)
    (pair,) = pairs(settings(measured, asked), *TWO)
    table = build_comparisons(settings(measured, asked)).set_index(["recipe", "reference"])
    for name in ("difference", "standard_error", "low", "high", "p_value", "detectable", "seeds"):
        assert pair.lines[0][name] == table.loc[TWO, name]
    assert [line["measure"] for line in pair.lines] == ["mean_auc", *ATTACKS]
    ends = measured[measured["strength"] == 0.5].set_index(["recipe", "attack", "seed"])["area"].sort_index() / 0.5
    for line, cells in zip(pair.lines[1:], attack_rows(pair, *TWO), strict=True):
        first, second = (ends[recipe, line["measure"]] for recipe in TWO)
        test = stats.ttest_rel(first, second)
        assert (line["first"], line["second"]) == pytest.approx((first.mean(), second.mean()))
        assert (line["low"], line["high"]) == pytest.approx(tuple(test.confidence_interval()))
        assert not {"verdict", "p_adjusted"} & {*line, *cells}
        shown = [float(cells[name]) for name in (*TWO, "difference")]
        shown += [float(end) for end in cells["95% CI"].strip("[]").split(", ")]
        wanted = [first.mean(), second.mean(), first.mean() - second.mean(), *test.confidence_interval()]
        assert shown == pytest.approx(wanted, abs=5.1e-4)


def test_exchanged_recipes_exchange_the_verdict():
    measured, asked = measurements(seeds=SEEDS), rows(seeds=SEEDS)
    (there,), (back,) = pairs(settings(measured, asked), *TWO), pairs(settings(measured, asked), *TWO[::-1])
    table = build_comparisons(settings(measured, asked)).set_index(["recipe", "reference"])
    assert there.comparison.verdict == table.loc[TWO, "verdict"] == "better"
    assert there.comparison.p_adjusted == table.loc[TWO, "p_adjusted"]
    assert back.comparison.verdict == "worse"
    assert there.lines[0]["difference"] == -back.lines[0]["difference"]
    said = sentences(there, *TWO)
    assert said[0].startswith("thresholded is better than shuffled: difference in mean AUC +.309, 95% CI [+.3")
    assert ", n = 7 seeds, p = " in said[0]
    assert "adjusted for all pairs of the board (exact sign-flip p .016, of this pair alone;" in said[0]
    assert "is worse than" in sentences(back, *TWO[::-1])[0]
    assert said[1].startswith("By attack: numbers without a verdict")
    assert not any(word in said[1] for word in ("better", "worse", "significant"))


def test_only_blocks_that_have_both_are_shown_and_the_means_are_over_shared_seeds():
    measured = pd.concat([measurements(seeds=SEEDS), measurements(block("mnist", "mnist"), recipes=("thresholded",))])
    asked = pd.concat([rows(seeds=SEEDS), rows(block("mnist", "mnist"), recipes=("thresholded",))])
    asked.loc[asked["recipe"] == "shuffled", "seed_list"] = "1,2,3"
    (pair,) = pairs(settings(measured, asked), *TWO)
    assert pair.setting["task"] == "digits"
    assert setting_title(pair.setting) == "digits : digits  suite blackbox 1, network small, gray, float32"
    some = build_leaderboard(settings(measured, rows(seeds=(1, 2, 3)))).set_index("recipe")
    assert pair.lines[0]["first"] == pytest.approx(some.loc["thresholded", "mean_auc"])
    assert pair.lines[0]["seeds"] == 3
    assert sentences(pair, *TWO)[0].startswith("No verdict on thresholded and shuffled: difference in mean AUC +.")
    assert sentences(pair, *TWO)[0].endswith("n = 3 seeds: too few for a verdict; 6 needed: rbp run --seeds 6.")


def test_what_cannot_be_said():
    one = pairs(settings(measurements(seeds=(0,)), rows(seeds=(0,))), *TWO)[0]
    said, _ = sentences(one, *TWO)
    assert said.startswith("No verdict on thresholded and shuffled: difference in mean AUC +.2")
    assert said.endswith(", n = 1 seed: too few for a verdict; 6 needed: rbp run --seeds 6.")
    assert {cells["95% CI"] for cells in attack_rows(one, *TWO)} == {"–"}
    none = pairs(settings(measurements(), rows()), "neural", "pixel")[0]
    assert sentences(none, "neural", "pixel") == ["neural and pixel share no seed, so nothing pairs them."]
    measured = measurements(recipes=TWO)
    lost = measured[(measured["recipe"] != "shuffled") | (measured["attack"] != "uniform")]
    partly = pairs(settings(lost, rows(recipes=TWO)), *TWO)[0]
    assert [line["measure"] for line in partly.lines] == [attack for attack in ATTACKS if attack != "uniform"]
    assert sentences(partly, *TWO)[0] == "No seed of both has every attack of the suite."

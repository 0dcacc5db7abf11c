"""Comparisons with references: each number by scipy, and how often they are wrong by simulation."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from robustbench_pix.results.statistics.aggregation import build_leaderboard
from robustbench_pix.results.statistics.comparisons import build_comparisons, compared
from robustbench_pix.results.statistics.measured import blocks
from tests.tables import block, measurements, rows

SEEDS = tuple(range(8))


def of_scores(scores):
    """Return measurements of one attack in which each recipe has these scores, (recipes, seeds), and their rows."""
    names = ["unregularized", *(f"r{place}" for place in range(1, len(scores)))]
    lines = [
        block() | {"recipe": name, "seed": seed, "attack": "gaussian", "strength": strength, "n": 100, "repetitions": 1}
        | {"correct": 90, "area": strength * score}
        for name, of_seeds in zip(names, scores, strict=True)
        for seed, score in enumerate(of_seeds)
        for strength in (0.0, 1.0)
    ]  # fmt: skip
    return pd.DataFrame(lines), rows(recipes=names, attacks=("gaussian",), seeds=range(len(scores[0])))


def test_every_recipe_is_beside_unregularized_and_a_claim_beside_its_controls():
    table = build_comparisons(measurements(), rows())
    pairs = list(table[["recipe", "reference", "role"]].itertuples(index=False, name=None))
    recipes = ("pixel", "thresholded", "decorrelated", "shuffled", "statistics")
    assert pairs == [
        *((recipe, "unregularized", "baseline") for recipe in recipes),
        *(("thresholded", control, "control") for control in ("decorrelated", "shuffled", "statistics")),
    ]


def test_numbers_are_scipys():
    measured, asked = measurements(seeds=SEEDS), rows(seeds=SEEDS)
    ((_, recipes),) = blocks(measured, asked)
    scores = {recipe.name: recipe.scores for recipe in recipes}
    table = build_comparisons(measured, asked)
    for row in table.to_dict("records"):
        difference = scores[row["recipe"]] - scores[row["reference"]]
        test = stats.ttest_rel(scores[row["recipe"]], scores[row["reference"]])
        assert row["difference"] == pytest.approx(difference.mean())
        assert row["standard_error"] == pytest.approx(stats.sem(difference))
        assert (row["low"], row["high"]) == pytest.approx(tuple(test.confidence_interval()))
        assert row["seeds"] == 8
    corrected = {
        "p_holm": [
            stats.permutation_test(
                ((scores[row.recipe] - scores[row.reference]).to_numpy(),),
                np.mean, permutation_type="samples", n_resamples=np.inf,
            ).pvalue
            for row in table.itertuples()
        ],
        "p_student_holm": [
            stats.ttest_rel(scores[row.recipe], scores[row.reference]).pvalue for row in table.itertuples()
        ],
    }  # fmt: skip
    assert table["p_value"].tolist() == pytest.approx(corrected["p_holm"])
    for name, p_values in corrected.items():
        order, largest = sorted(range(8), key=lambda place: p_values[place]), 0.0
        for step, place in enumerate(order):
            largest = max(largest, p_values[place] * (8 - step))
            assert table[name][place] == pytest.approx(min(largest, 1)), name


def test_a_gain_is_the_comparison_with_unregularized():
    measured, asked = measurements(seeds=SEEDS), rows(seeds=SEEDS)
    board = build_leaderboard(measured, asked).set_index("recipe")
    table = build_comparisons(measured, asked).query("role == 'baseline'").set_index("recipe")
    pairs = {"difference": "gain", "low": "gain_low", "high": "gain_high", "p_value": "p_value"}
    for ours, theirs in pairs.items():
        assert table[ours].tolist() == board.loc[table.index, theirs].tolist()


def test_few_seeds_allow_no_test_and_many_comparisons_no_sign_flip():
    few = build_comparisons(measurements(), rows())
    assert set(few["test"]) == {"no test: 3 seeds, smallest p would be .25"}
    assert set(few["verdict"]) == {"no test"}
    assert few[["p_value", "p_holm"]].isna().all(axis=None)
    eight = build_comparisons(measurements(seeds=SEEDS), rows(seeds=SEEDS))
    assert set(eight["test"]) == {"sign-flip; smallest p_holm of 8 comparisons would be .062"}
    assert eight["p_holm"].min() == 8 * 2 / 2**8
    assert set(eight["verdict"]) == {"better"}
    many = build_comparisons(measurements(seeds=range(9)), rows(seeds=range(9)))
    assert set(many["test"]) == {"sign-flip"}


def test_correction_stays_within_a_block():
    measured, asked = measurements(seeds=SEEDS), rows(seeds=SEEDS)
    other = block("mnist", "mnist")
    both = build_comparisons(
        pd.concat([measured, measurements(of=other, seeds=SEEDS, key=1)]), pd.concat([asked, rows(other, seeds=SEEDS)])
    )
    alone = build_comparisons(measured, asked)
    pd.testing.assert_frame_equal(both[both["task"] == "digits"].reset_index(drop=True), alone)


def test_verdicts_have_a_direction():
    random = np.random.default_rng(0)
    noise = random.normal(0, 0.001, (4, 7))
    table = build_comparisons(*of_scores(noise + np.array([[0.5], [0.6], [0.4], [0.5]])))
    assert table["verdict"].tolist() == ["better", "worse", "not told apart"]


def test_without_an_effect_a_block_has_a_false_verdict_in_at_most_5_percent():
    random, wrong, covered, count = np.random.default_rng(1), 0, 0, 1000
    for _ in range(count):
        scores = random.normal(0.5, 0.05, 7) + random.normal(0, 0.02, (5, 7))
        table = pd.DataFrame(compared(list(scores[1:] - scores[0])))
        wrong += (table["verdict"] != "not told apart").any()
        covered += int(((table["low"] <= 0) & (table["high"] >= 0)).sum())
    error = np.sqrt(0.05 * 0.95 / count)
    assert wrong / count <= 0.05 + 2 * error
    assert covered / count / 4 == pytest.approx(0.95, abs=2 * error)


def test_recipes_without_a_seed_in_common_are_not_compared():
    measured, asked = measurements(recipes=("unregularized", "pixel")), rows(recipes=("unregularized", "pixel"))
    apart = measured.assign(seed=measured["seed"] + 5 * (measured["recipe"] == "pixel"))
    asked["seed_list"] = ["0,1,2", "5,6,7"]
    assert build_comparisons(apart, asked).empty
    assert len(build_comparisons(measured, asked.assign(seed_list="0,1"))) == 1

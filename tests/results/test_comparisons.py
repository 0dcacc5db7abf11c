"""Comparisons with references: each number by scipy."""

from itertools import combinations

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from robustbench_pix.results.statistics.aggregation import build_leaderboard
from robustbench_pix.results.statistics.comparisons import build_comparisons
from robustbench_pix.results.statistics.measured import settings
from tests.tables import block, measurements, rows

SEEDS = tuple(range(8))


def of_scores(mean_aucs):
    """Return measurements of one attack in which each recipe has these scores, (recipes, seeds), and their rows."""
    names = ["unregularized", *(f"r{place}" for place in range(1, len(mean_aucs)))]
    lines = [
        block() | {"recipe": name, "seed": seed, "attack": "gaussian", "strength": strength, "n": 100, "repetitions": 1}
        | {"correct": 90, "area": strength * mean_auc, "range_from": 0.0, "access": "none", "strength_kind": "sigma"}
        for name, of_seeds in zip(names, mean_aucs, strict=True)
        for seed, mean_auc in enumerate(of_seeds)
        for strength in (0.0, 1.0)
    ]  # fmt: skip
    return pd.DataFrame(lines), rows(recipes=names, attacks=("gaussian",), seeds=range(len(mean_aucs[0])))


def test_every_recipe_is_beside_unregularized_and_a_claim_beside_its_controls():
    table = build_comparisons(settings(measurements(), rows()))
    pairs = list(table[["recipe", "reference", "role"]].itertuples(index=False, name=None))
    recipes = ("pixel", "thresholded", "decorrelated", "shuffled", "statistics")
    assert pairs == [
        *((recipe, "unregularized", "baseline") for recipe in recipes),
        *(("thresholded", control, "control") for control in ("decorrelated", "shuffled", "statistics")),
    ]


def test_numbers_are_scipys():
    measured, asked = measurements(seeds=SEEDS), rows(seeds=SEEDS)
    ((_, recipes),) = settings(measured, asked)
    mean_aucs = {recipe.name: recipe.mean_aucs for recipe in recipes}
    table = build_comparisons(settings(measured, asked))
    for row in table.to_dict("records"):
        difference = mean_aucs[row["recipe"]] - mean_aucs[row["reference"]]
        test = stats.ttest_rel(mean_aucs[row["recipe"]], mean_aucs[row["reference"]])
        assert row["difference"] == pytest.approx(difference.mean())
        assert row["standard_error"] == pytest.approx(stats.sem(difference))
        assert (row["low"], row["high"]) == pytest.approx(tuple(test.confidence_interval()))
        assert row["seeds"] == 8
    exact = [
        stats.permutation_test(
            ((mean_aucs[row.recipe] - mean_aucs[row.reference]).to_numpy(),),
            np.mean, permutation_type="samples", n_resamples=np.inf,
        ).pvalue
        for row in table.itertuples()
    ]  # fmt: skip
    assert table["p_value"].tolist() == pytest.approx(exact)
    scored = [name for name, values in mean_aucs.items() if len(values)]
    p_values = {
        frozenset(pair): stats.ttest_rel(*(mean_aucs[name] for name in pair)).pvalue for pair in combinations(scored, 2)
    }
    assert len(p_values) == 15
    largest, adjusted = 0.0, {}
    for step, pair in enumerate(sorted(p_values, key=p_values.get)):
        largest = max(largest, p_values[pair] * (15 - step))
        adjusted[pair] = min(largest, 1)
    expected = [adjusted[frozenset((row.recipe, row.reference))] for row in table.itertuples()]
    assert table["p_adjusted"].tolist() == pytest.approx(expected)


def test_a_gain_is_the_comparison_with_unregularized():
    measured, asked = measurements(seeds=SEEDS), rows(seeds=SEEDS)
    board = build_leaderboard(settings(measured, asked)).set_index("recipe")
    table = build_comparisons(settings(measured, asked)).query("role == 'baseline'").set_index("recipe")
    pairs = {"difference": "gain", "low": "gain_low", "high": "gain_high", "p_value": "p_value"}
    for ours, theirs in pairs.items():
        assert table[ours].tolist() == board.loc[table.index, theirs].tolist()


def test_few_seeds_allow_no_verdict():
    few = build_comparisons(settings(measurements(), rows()))
    assert set(few["verdict"]) == {"too few seeds"}
    assert few[["p_value", "p_adjusted"]].isna().all(axis=None)
    enough = build_comparisons(settings(measurements(seeds=range(6)), rows(seeds=range(6))))
    assert "better" in set(enough["verdict"]) <= {"better", "not significant"}
    assert enough["p_adjusted"].notna().all()


def test_correction_stays_within_a_block():
    measured, asked = measurements(seeds=SEEDS), rows(seeds=SEEDS)
    other = block("mnist", "mnist")
    both = build_comparisons(
        settings(
            pd.concat([measured, measurements(of=other, seeds=SEEDS, key=1)]),
            pd.concat([asked, rows(other, seeds=SEEDS)]),
        )
    )
    alone = build_comparisons(settings(measured, asked))
    pd.testing.assert_frame_equal(both[both["task"] == "digits"].reset_index(drop=True), alone)


def test_verdicts_have_a_direction():
    random = np.random.default_rng(0)
    noise = random.normal(0, 0.001, (4, 7))
    table = build_comparisons(settings(*of_scores(noise + np.array([[0.5], [0.6], [0.4], [0.5]]))))
    assert table["verdict"].tolist() == ["better", "worse", "not significant"]


def test_recipes_without_a_seed_in_common_are_not_compared():
    measured, asked = measurements(recipes=("unregularized", "pixel")), rows(recipes=("unregularized", "pixel"))
    apart = measured.assign(seed=measured["seed"] + 5 * (measured["recipe"] == "pixel"))
    asked["seed_list"] = ["0,1,2", "5,6,7"]
    assert build_comparisons(settings(apart, asked)).empty
    assert len(build_comparisons(settings(measured, asked.assign(seed_list="0,1")))) == 1

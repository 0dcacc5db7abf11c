import numpy as np
import pandas as pd
import pytest
from scipy import stats

from robustbench_pix.results.statistics.aggregation import build_leaderboard
from robustbench_pix.results.statistics.measured import settings
from tests.tables import measurements, rows

SEEDS = range(5)


def test_it_is_the_score_beyond_a_line_through_chance_and_the_unregularized_model():
    measured, asked = measurements(seeds=SEEDS), rows(seeds=SEEDS)
    ends = measured.sort_values("strength").groupby(["recipe", "seed", "attack"]).last()
    mean_aucs = (ends["area"] / ends["strength"]).groupby(["recipe", "seed"]).mean()
    start = measured[(measured["strength"] == 0) & (measured["attack"] == "gaussian")]
    clean = start.set_index(["recipe", "seed"])["correct"].astype(float) / 500
    (slope, intercept), values = np.zeros(2), []
    for seed in SEEDS:
        of = clean["unregularized", seed], mean_aucs["unregularized", seed]
        slope, intercept = np.polyfit([0.1, of[0]], [0.1, of[1]], 1)
        values.append(mean_aucs["pixel", seed] - (intercept + slope * clean["pixel", seed]))
    row = build_leaderboard(settings(measured, asked)).set_index("recipe").loc["pixel"]
    assert row["effective_robustness"] == pytest.approx(np.mean(values))
    expected = stats.t.interval(0.95, 4, loc=np.mean(values), scale=stats.sem(values))
    assert (row["effective_robustness_low"], row["effective_robustness_high"]) == pytest.approx(expected)
    assert row["standard_error"] == pytest.approx(stats.sem(mean_aucs["pixel"]))


@pytest.mark.parametrize("constant", [1.0, 0.5, 0.2])
@pytest.mark.parametrize("shares", [{}, {"boundary": 0.16}])
def test_a_constant_classifier_and_any_mixture_with_one_gain_nothing(constant, shares):
    """Its answer is right on the images of the most frequent class, whatever is done to them."""
    measured = measurements(recipes=("unregularized",), seeds=SEEDS)
    measured["chance"] = measured["attack"].map(shares).fillna(0.13).astype(float)
    mixed = measured.assign(recipe="mixture")
    level = (1 - constant) * mixed["accuracy"] + constant * mixed["chance"]
    mixed["area"] = (1 - constant) * mixed["area"] + constant * mixed["chance"] * mixed["strength"]
    mixed["n"] *= 10_000
    mixed["correct"] = (level * mixed["n"].astype(float)).round().astype("Int64")
    board = build_leaderboard(
        settings(pd.concat([measured, mixed]), rows(recipes=("unregularized", "mixture"), seeds=SEEDS))
    ).set_index("recipe")
    found = board.loc["mixture", ["effective_robustness", "effective_robustness_low", "effective_robustness_high"]]
    assert found.tolist() == pytest.approx([0, 0, 0], abs=1e-6)
    assert board.loc["mixture", "gain"] < -0.05
    assert np.isnan(board.loc["unregularized", "effective_robustness"])


def test_a_constant_answer_of_another_class_is_below_the_floor():
    measured = measurements(recipes=("unregularized",), seeds=SEEDS).assign(chance=0.13)
    other = measured.assign(recipe="constant", accuracy=0.09, correct=(measured["n"] * 9) // 100)
    other["area"] = 0.09 * other["strength"]
    board = build_leaderboard(
        settings(pd.concat([measured, other]), rows(recipes=("unregularized", "constant"), seeds=SEEDS))
    ).set_index("recipe")
    assert -0.04 < board.loc["constant", "effective_robustness"] < 0


def test_without_the_level_of_chance_there_is_none():
    measured = measurements(seeds=SEEDS).assign(chance=np.nan)
    assert build_leaderboard(settings(measured, rows(seeds=SEEDS)))["effective_robustness"].isna().all()


def test_queries_are_those_at_the_largest_strength_of_every_attack():
    measured = measurements(recipes=("unregularized",), attacks=("gaussian", "boundary"), seeds=(0, 1))
    asks = {"gaussian": 0.0, "boundary": 700.0}
    queries = measured["attack"].map(asks) * (measured["strength"] == 0.5) + 10 * measured["seed"]
    board = build_leaderboard(
        settings(
            measured.assign(mean_queries=queries),
            rows(recipes=("unregularized",), attacks=("gaussian", "boundary"), seeds=(0, 1)),
        )
    )
    assert board.loc[0, "queries"] == (700 + 720) / 2

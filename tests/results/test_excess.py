import numpy as np
import pandas as pd
import pytest
from scipy import stats

from robustbench_pix.results.statistics.aggregation import build_leaderboard
from tests.tables import measurements, rows

SEEDS = range(5)


def test_excess_is_the_score_beyond_what_the_clean_accuracy_predicts():
    measured, asked = measurements(seeds=SEEDS), rows(seeds=SEEDS)
    ends = measured.sort_values("strength").groupby(["recipe", "seed", "attack"]).last()
    scores = (ends["area"] / ends["strength"]).groupby(["recipe", "seed"]).mean()
    start = measured[(measured["strength"] == 0) & (measured["attack"] == "gaussian")]
    clean = start.set_index(["recipe", "seed"])["correct"].astype(float) / 500
    predicted = clean["pixel"] * scores["unregularized"] / clean["unregularized"]
    values = scores["pixel"] - predicted
    row = build_leaderboard(measured, asked).set_index("recipe").loc["pixel"]
    assert row["excess"] == pytest.approx(values.mean())
    expected = stats.t.interval(0.95, 4, loc=values.mean(), scale=stats.sem(values))
    assert (row["excess_low"], row["excess_high"]) == pytest.approx(expected)
    assert row["standard_error"] == pytest.approx(stats.sem(scores["pixel"]))


def test_a_recipe_that_only_loses_a_share_of_its_accuracy_everywhere_has_no_excess():
    measured = measurements(recipes=("unregularized",), seeds=SEEDS)
    measured["correct"] = measured["correct"] // 4 * 4
    weaker = measured.assign(recipe="weaker", correct=measured["correct"] * 3 // 4, area=measured["area"] * 0.75)
    both = pd.concat([measured, weaker])
    board = build_leaderboard(both, rows(recipes=("unregularized", "weaker"), seeds=SEEDS)).set_index("recipe")
    assert board.loc["weaker", ["excess", "excess_low", "excess_high"]].tolist() == pytest.approx([0, 0, 0], abs=1e-10)
    assert board.loc["weaker", "gain"] < -0.1
    assert np.isnan(board.loc["unregularized", "excess"])


def test_queries_are_those_at_the_largest_strength_of_every_attack():
    measured = measurements(recipes=("unregularized",), attacks=("gaussian", "boundary"), seeds=(0, 1))
    asks = {"gaussian": 0.0, "boundary": 700.0}
    queries = measured["attack"].map(asks) * (measured["strength"] == 0.5) + 10 * measured["seed"]
    board = build_leaderboard(
        measured.assign(mean_queries=queries),
        rows(recipes=("unregularized",), attacks=("gaussian", "boundary"), seeds=(0, 1)),
    )
    assert board.loc[0, "queries"] == (700 + 720) / 2

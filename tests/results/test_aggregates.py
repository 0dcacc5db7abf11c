"""Over several combinations: the definitions of Agarwal et al. 2021 by scipy and by brute force."""

import io

import numpy as np
import pandas as pd
import pytest
from rich.console import Console
from scipy import stats

from robustbench_pix.leaderboard.publishing import publish
from robustbench_pix.leaderboard.terminal.overview import render_overview
from robustbench_pix.results.board import published_board
from robustbench_pix.results.columns import MEASUREMENTS
from robustbench_pix.results.derived_columns import AGGREGATES
from robustbench_pix.results.published.csv_io import as_published
from robustbench_pix.results.published.reading import read_beside
from robustbench_pix.results.published.verification import derived_again
from robustbench_pix.results.statistics.aggregates import aggregates, bootstrap, improvement, interquartile_mean
from robustbench_pix.results.statistics.aggregation import build_leaderboard
from robustbench_pix.results.statistics.measured import settings
from tests.tables import as_board, block, costs, measurements, rows

COMBINATIONS = (("digits", (0, 1, 2)), ("mnist", (0, 1, 2, 3, 4)), ("fashion-mnist", (0, 1)))
RECIPES = ("unregularized", "statistics", "shuffled")


def tables(combinations=COMBINATIONS, recipes=RECIPES):
    measured, asked = [], []
    for key, (task, seeds) in enumerate(combinations):
        one = measurements(block(task, task), recipes=recipes, seeds=seeds, key=key)
        measured.append(one.assign(model_id=one["recipe"] + task + one["seed"].astype(str)))
        asked.append(rows(block(task, task), recipes=recipes, seeds=seeds))
    return pd.concat(measured), pd.concat(asked)


def scores_of(recipe, measured, asked):
    return [
        next(one for one in recipes if one.name == recipe).mean_aucs.to_numpy()
        for _, recipes in settings(measured, asked)
    ]


@pytest.mark.parametrize("count", [2, 3, 4, 7, 10, 33])
def test_the_interquartile_mean_is_scipys_trimmed_mean(count):
    values = np.random.default_rng(count).normal(size=(5, count))
    assert interquartile_mean(values) == pytest.approx(stats.trim_mean(values, 0.25, axis=1))


def test_improvement_is_mann_whitneys_u_by_the_number_of_pairs():
    random = np.random.default_rng(0)
    first, second = random.integers(0, 5, (4, 6)).astype(float), random.integers(0, 5, (4, 3)).astype(float)
    expected = [stats.mannwhitneyu(one, other).statistic / 18 for one, other in zip(first, second, strict=True)]
    assert improvement(first, second) == pytest.approx(expected)
    assert improvement(first[0], second[0]) == pytest.approx(expected[0])


def test_numbers_are_those_of_loops():
    measured, asked = tables()
    measured.loc[measured["recipe"] == "statistics", "area"] *= 0.755
    table = aggregates(settings(measured, asked)).set_index("recipe")
    assert set(table.index) == set(RECIPES)
    base, ours = scores_of("unregularized", measured, asked), scores_of("statistics", measured, asked)
    row = table.loc["statistics"]
    assert (row["combinations"], row["models"]) == (3, 10)
    assert row["mean"] == pytest.approx(stats.trim_mean(np.concatenate(ours), 0.25))
    chances = [np.mean([a > b for a in one for b in other]) for one, other in zip(ours, base, strict=True)]
    assert row["probability_of_improvement"] == pytest.approx(np.mean(chances))
    assert 0 < row["probability_of_improvement"] < 1
    random, means, improvements = np.random.default_rng(0), [], []
    for _ in range(1500):
        first = [random.choice(values, len(values)) for values in ours]
        second = [random.choice(values, len(values)) for values in base]
        means.append(stats.trim_mean(np.concatenate(first), 0.25))
        pairs = zip(first, second, strict=True)
        improvements.append(np.mean([np.mean(one[:, None] > other[None, :]) for one, other in pairs]))
    spread = np.ptp(means)
    assert (row["mean_low"], row["mean_high"]) == pytest.approx(np.quantile(means, [0.025, 0.975]), abs=0.05 * spread)
    found = (row["probability_of_improvement_low"], row["probability_of_improvement_high"])
    assert found == pytest.approx(np.quantile(improvements, [0.025, 0.975]), abs=0.04)
    assert np.isnan(table.loc["unregularized", "probability_of_improvement"])


def test_the_same_table_gives_the_same_bytes_and_resamples_stay_in_their_stratum():
    measured, asked = tables()
    pd.testing.assert_frame_equal(aggregates(settings(measured, asked)), aggregates(settings(measured, asked)))
    strata = [np.array([1.0, 2.0]), np.array([10.0, 20.0, 30.0])]
    few, more = bootstrap(strata, "a")
    assert (few.shape, more.shape) == ((2000, 2), (2000, 3))
    assert set(few.flat) == {1, 2}
    assert set(more.flat) == {10, 20, 30}
    assert more.mean() == pytest.approx(20, abs=0.5)
    assert not np.array_equal(bootstrap(strata, "b")[0], few)


def test_the_baseline_is_resampled_apart_from_the_recipe():
    """With the same draws for both, a recipe with the very scores of unregularized would surely be as good."""
    measured, asked = tables()
    base = measured[measured["recipe"] == "unregularized"]
    copy = base.assign(recipe="statistics", model_id="statistics" + base["model_id"])
    row = aggregates(settings(pd.concat([base, copy]), asked)).set_index("recipe").loc["statistics"]
    assert row["probability_of_improvement"] == 0.5
    strata, random = scores_of("unregularized", measured, asked), np.random.default_rng(0)
    chances = [
        np.mean([improvement(random.choice(one, len(one)), random.choice(one, len(one))) for one in strata])
        for _ in range(1500)
    ]
    found = (row["probability_of_improvement_low"], row["probability_of_improvement_high"])
    assert found == pytest.approx(np.quantile(chances, [0.025, 0.975]), abs=0.04)
    assert found[1] - found[0] > 0.3


def test_one_combination_is_none_and_suites_do_not_mix():
    measured, asked = tables(COMBINATIONS[:1])
    assert aggregates(settings(measured, asked)).empty
    other = asked.assign(suite="other"), measured.assign(suite="other")
    assert aggregates(settings(pd.concat([measured, other[1]]), pd.concat([asked, other[0]]))).empty


def test_unregularized_models_count_once():
    measured, asked = tables(COMBINATIONS[:2])
    natural = measured[measured["task"] == "mnist"].assign(regularization_data="natural")
    regularized = natural["recipe"] != "unregularized"
    natural.loc[regularized, "model_id"] += "natural"
    both = (
        pd.concat([measured, natural]),
        pd.concat([asked, asked[asked["task"] == "mnist"].assign(regularization_data="natural")]),
    )
    table = aggregates(settings(*both)).set_index("recipe")
    assert table.loc["unregularized", ["combinations", "models"]].tolist() == [2, 8]
    assert table.loc["statistics", ["combinations", "models"]].tolist() == [3, 13]


def test_it_is_published_and_shown_below_the_overview(tmp_path):
    measured, asked = tables()
    board = build_leaderboard(settings(measured, asked))
    publish(tmp_path, as_board(measured=measured, leaderboard=board, costs=costs()))
    published = read_beside(tmp_path, "aggregates.csv")
    expected = aggregates(settings(as_published(measured, MEASUREMENTS), asked))
    pd.testing.assert_frame_equal(published.sort_values("recipe", ignore_index=True), as_published(
        expected.sort_values("recipe", ignore_index=True), AGGREGATES))  # fmt: skip
    console = Console(file=io.StringIO(), width=80)
    console.print(render_overview(board, 80, published))
    text = console.file.getvalue()
    assert max(map(len, text.splitlines())) <= 80
    for row in published.itertuples():
        (line,) = [
            line.split() for line in text.splitlines() if line.split()[:2] == [row.recipe, str(row.combinations)]
        ]
        assert int(line[2]) == row.models
        assert float(line[3].strip("*")) == pytest.approx(row.mean, abs=5.1e-4)
    assert "P(higher)" in text


def test_a_forged_mean_over_combinations_is_found(tmp_path):
    measured, asked = tables()
    publish(
        tmp_path, as_board(measured=measured, leaderboard=build_leaderboard(settings(measured, asked)), costs=costs())
    )
    assert derived_again(published_board(tmp_path)) == []
    table = pd.read_csv(tmp_path / "aggregates.csv")
    table.assign(probability_of_improvement=1.0).to_csv(tmp_path / "aggregates.csv", index=False)
    found = derived_again(published_board(tmp_path))
    assert {(finding.file, finding.column) for finding in found} == {("aggregates.csv", "probability_of_improvement")}

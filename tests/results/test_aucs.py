"""Robustness and halving strength of one recipe under one attack, and what a recipe costs."""

import numpy as np
import pandas as pd
import pytest
from scipy import interpolate, optimize, stats

from robustbench_pix.results.columns import WORST_CASE
from robustbench_pix.results.costs import recipe_costs
from robustbench_pix.results.statistics.aggregation import build_leaderboard
from robustbench_pix.results.statistics.aucs import build_aucs, eps50
from robustbench_pix.results.statistics.measured import settings
from tests.tables import ATTACKS, measurements, rows


@pytest.mark.parametrize("seed", range(5))
def test_halving_strength_is_where_the_interpolated_curve_first_crosses_half(seed):
    random = np.random.default_rng(seed)
    strengths = np.concatenate([[0], np.sort(random.uniform(0.01, 1, 8))])
    accuracies = np.concatenate([[0.9], np.sort(random.uniform(0, 0.9, 8))[::-1]])
    accuracies[-1] = 0.1
    curve = interpolate.interp1d(strengths, accuracies - 0.45)
    assert eps50(strengths, accuracies) == pytest.approx(optimize.brentq(curve, 0, strengths[-1]))


def test_halving_strength_of_odd_curves():
    strengths = np.array([0.0, 1.0, 2.0, 3.0])
    assert np.isnan(eps50(strengths, np.array([0.8, 0.7, 0.5, 0.41])))
    assert eps50(strengths, np.array([0.8, 0.2, 0.7, 0.1])) == pytest.approx(2 / 3)
    assert eps50(strengths, np.array([0.8, 0.6, 0.4, 0.4])) == 2
    assert np.isnan(eps50(strengths, np.zeros(4)))


def test_rows_agree_with_the_leaderboard_and_with_scipy():
    measured, asked = measurements(seeds=range(4)), rows(seeds=range(4))
    board = build_leaderboard(settings(measured, asked)).set_index("recipe")
    table = build_aucs(settings(measured, asked)).set_index(["recipe", "attack"])
    assert len(table) == 6 * len(ATTACKS)
    for (recipe, attack), row in table.iterrows():
        assert row["auc"] == pytest.approx(board.loc[recipe, f"auc_{attack}"])
        of_seeds = measured[(measured["recipe"] == recipe) & (measured["attack"] == attack)].groupby("seed")
        areas = of_seeds["area"].max() / 0.5
        assert row["standard_error"] == pytest.approx(stats.sem(areas))
        assert (row["low"], row["high"]) == pytest.approx(stats.t.interval(0.95, 3, areas.mean(), stats.sem(areas)))
        halves = [
            optimize.brentq(
                interpolate.interp1d(one["strength"], one["accuracy"] - one["accuracy"].iloc[0] / 2), 0, 0.5
            )
            for _, one in of_seeds
        ]
        assert row["eps50"] == pytest.approx(np.mean(halves))
        expected = stats.t.interval(0.95, 3, np.mean(halves), stats.sem(halves))
        assert (row["eps50_low"], row["eps50_high"]) == pytest.approx(expected)


def test_the_worst_case_has_a_row_of_its_own_behind_the_attacks():
    measured, asked = measurements(), rows()
    worst = measured[measured["attack"] == "boundary"].assign(attack=WORST_CASE, strength_kind="share")
    table = build_aucs(settings(pd.concat([worst, measured]), asked))
    assert [tuple(rest["attack"]) for _, rest in table.groupby("recipe")] == [(*ATTACKS, WORST_CASE)] * 6
    ours, boundary = (table[table["attack"] == attack] for attack in (WORST_CASE, "boundary"))
    assert set(ours["strength_kind"]) == {"share"}
    numbers = ["seeds", "auc", "low", "high", "eps50", "eps50_low", "eps50_high"]
    assert ours[numbers].to_numpy().tolist() == boundary[numbers].to_numpy().tolist()


def test_a_mean_of_halving_strengths_needs_every_seed():
    measured = measurements(recipes=("unregularized",), attacks=("gaussian",))
    measured.loc[measured["seed"] == 1, "accuracy"] = 0.9
    (row,) = build_aucs(settings(measured, rows(recipes=("unregularized",), attacks=("gaussian",)))).to_dict("records")
    assert row["eps50_seeds"] == 2
    assert np.isnan([row["eps50"], row["eps50_low"]]).all()


def test_seeds_that_lack_an_attack_enter_as_little_as_in_the_leaderboard():
    measured = measurements(recipes=("unregularized",))
    whole = measured[(measured["seed"] != 1) | (measured["attack"] != "gaussian")]
    table = build_aucs(settings(whole, rows(recipes=("unregularized",))))
    assert set(table["seeds"]) == {2}


def costs_of(measured, seconds):
    train = {("train", model): 100.0 for model in measured["model_id"]}
    attack = dict.fromkeys((("attack", run) for run in measured["attack_id"]), seconds)
    lines = [{"kind": kind, "id": name, "seconds": spent} for (kind, name), spent in (train | attack).items()]
    return pd.DataFrame(lines)


def test_seconds_are_those_of_the_training_and_of_every_attack():
    measured = measurements(recipes=("unregularized", "pixel"))
    measured["model_id"] = measured["recipe"] + measured["seed"].astype(str)
    measured["attack_id"] = measured["model_id"] + measured["attack"]
    costs = costs_of(measured, 3.0)
    costs.loc[costs["id"] == "pixel0gaussian", "seconds"] = 9.0
    worst = measured[measured["attack"] == "gaussian"].assign(attack=WORST_CASE, attack_id="none")
    table = recipe_costs(pd.concat([measured, worst]), costs).set_index("recipe")
    names = ["seeds", "training_seconds", "attack_seconds", "seconds"]
    assert table.loc["unregularized", names].tolist() == [3, 100, 15, 115]
    assert table.loc["pixel", names].tolist() == [3, 100, 17, 117]
    lost = recipe_costs(measured, costs[costs["id"] != "pixel0gaussian"]).set_index("recipe")
    assert lost.loc["pixel", ["attack_seconds", "seconds"]].isna().all()
    assert lost.loc["unregularized", "seconds"] == 115


def test_a_given_model_costs_no_training_and_unknown_runs_no_number():
    measured = measurements(recipes=("unregularized",), seeds=(0,))
    costs = costs_of(measured, 3.0).replace("train", "given")
    (row,) = recipe_costs(measured, costs).to_dict("records")
    assert (row["training_seconds"], row["seconds"]) == (0, 3)
    (row,) = recipe_costs(measured, costs.iloc[:0]).to_dict("records")
    assert np.isnan([row["training_seconds"], row["attack_seconds"]]).all()

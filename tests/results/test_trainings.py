"""The training summary: what still falls at the end of a log, and on which layer learned weights collapse."""

import math

import numpy as np
import pandas as pd
import pytest

from robustbench_pix.results.collapses import collapses
from robustbench_pix.results.columns import KEY, TRAININGS, typed
from robustbench_pix.results.statistics.aggregation import build_leaderboard
from robustbench_pix.results.statistics.measured import settings
from robustbench_pix.results.trainings import late_fall, training_facts
from tests.tables import block, measurements, rows

ONE = ("gaussian",)


def log(epochs=20, **columns):
    fields = {"penalty": 0.0, "task_loss": 1.0, "validation_loss": np.exp(-np.arange(epochs))}
    return pd.DataFrame({"epoch": range(1, epochs + 1)}).assign(**(fields | columns))


def test_the_fall_is_that_between_the_last_two_fifths_as_a_share_of_the_whole():
    values = np.array([9.0, 30, 20, 15, 12, 11, 8, 7, 5, 4.0])
    share, still_falls = late_fall(values)
    assert share == pytest.approx((7.5 - 4.5) / (30 - 4.5))
    bends = [values[place] - 2 * values[place + 1] + values[place + 2] for place in (6, 7)]
    assert 2 * math.sqrt(sum(bend**2 for bend in bends) / 2 / 6) < 3.0
    assert still_falls


@pytest.mark.parametrize(
    ("curve", "falls"),
    [
        (lambda t: 32 - 5 * t, True),
        (lambda t: np.exp(-2 * t), True),
        (lambda t: np.exp(-6 * t), False),
        (lambda t: 0.3 + 0 * t, False),
        (lambda t: 1 + t, False),
        (lambda t: np.where(t < 0.5, 1.0, 0.1), False),
    ],
)
@pytest.mark.parametrize("epochs", [10, 20, 60])
def test_a_curve_that_levels_off_has_converged(curve, falls, epochs):
    assert late_fall(curve(np.linspace(0, 1, epochs))).still_falls == falls


def test_noise_alone_is_no_fall_and_hides_none_that_is_larger():
    random = np.random.default_rng(0)
    level, slope = np.full(60, 1.0), np.linspace(2.0, 1.0, 60)
    flagged = [late_fall(level + random.normal(0, 0.1, 60)).still_falls for _ in range(400)]
    assert np.mean(flagged) < 0.05
    assert all(late_fall(slope + random.normal(0, 0.05, 60)).still_falls for _ in range(100))


def test_a_fall_must_exceed_two_standard_errors_by_the_variance_of_second_differences():
    """Of independent noise the weights 1, -2, 1 sum up 1 + 4 + 1 variances; steady falls leave no second difference."""
    random, decisions = np.random.default_rng(1), set()
    for size in (0.02, 0.05, 0.1, 0.2) * 100:
        curve = np.linspace(2.0, 1.0, 20) + random.normal(0, size, 20)
        bends = np.convolve(curve[-8:], [1, -2, 1], mode="valid")
        variance = (bends @ bends) / len(bends) / 6
        fall = curve[-8:-4].mean() - curve[-4:].mean()
        expected = fall > 2 * math.sqrt(variance / 4 + variance / 4) and fall > 0.05 * (curve.max() - curve[-4:].mean())
        assert late_fall(curve).still_falls == expected
        decisions.add(bool(expected))
    assert decisions == {True, False}


def test_of_three_epochs_nothing_is_said_and_of_five_what_a_line_says():
    assert late_fall(np.linspace(32, 27, 5)).still_falls
    assert late_fall(np.array([3.0, 2.0, 1.0]))[1] is False
    assert math.isnan(training_facts(log(3))["validation_loss_fall"])


def test_facts_of_a_log():
    losses = np.array([5.0, 1, 3, 3, 3, 3, 3, 3, 3, 3])
    facts = training_facts(log(10, penalty=np.linspace(32, 27, 10), task_loss=np.arange(10), validation_loss=losses))
    assert (facts["epochs"], facts["best_epoch"], facts["task_loss"]) == (10, 2, 9)
    assert (facts["first_penalty"], facts["last_penalty"]) == (32, 27)
    assert facts["still_falls"] == "penalty"
    assert facts["collapsed_on"] == ""
    without = training_facts(log())
    assert math.isnan(without["first_penalty"])
    assert without["still_falls"] == ""


@pytest.mark.parametrize(
    ("weights", "expected"),
    [
        ([(0.4, 0.6), (0.6, 0.4), (0.4, 0.6), (0.1, 0.9)], ("layer 1", 0.9, 3)),
        ([(0.6, 0.4), (0.7, 0.3), (0.8, 0.2), (0.9, 0.1)], ("layer 0", 0.9, 1)),
        ([(0.2, 0.5), (0.3, 0.4), (0.3, 0.4), (0.3, 0.4)], ("none", 0.4, None)),
    ],
)
def test_the_layer_on_which_weights_collapse(weights, expected):
    learned = {f"layer_weight_{layer}": column for layer, column in enumerate(zip(*weights, strict=True))}
    facts = training_facts(log(4, **learned))
    assert (facts["collapsed_on"], facts["layer_weight"], facts.get("collapsed_from")) == expected


def trained(recipe, falls):
    """Return the summary of a recipe's seeds: what of each still falls."""
    lines = [block() | {"recipe": recipe, "seed": seed, "still_falls": names} for seed, names in enumerate(falls)]
    return typed(pd.DataFrame(lines), TRAININGS)


def note(measured, trainings=None, recipe="pixel"):
    board = build_leaderboard(settings(measured, rows(attacks=ONE)), None, trainings).set_index("recipe")
    return board.loc[recipe, "note"]


def test_a_row_says_of_how_many_models_the_training_has_not_converged():
    measured = measurements(attacks=ONE)
    assert note(measured, trained("pixel", ["penalty", "", ""])) == ""
    said = note(measured, trained("pixel", ["penalty", "penalty, validation loss", ""]))
    assert said == (
        "training: not converged in 2 of 3 models: the penalty still falls (2), the validation loss still falls (1)"
    )
    assert note(measured, trained("pixel", ["penalty"] * 3), "thresholded") == ""
    assert "3 of 3" in note(measured, trained("unregularized", ["validation loss"] * 3), "unregularized")


def test_a_clean_accuracy_far_below_that_of_unregularized_needs_no_log():
    measured = measurements(attacks=ONE)
    start = measured["strength"] == 0
    usual = (measured["correct"] / measured["n"])[start & (measured["recipe"] == "unregularized")].mean()
    of_pixel = start & (measured["recipe"] == "pixel")
    for share, seeds, expected in ((0.91, (0, 1, 2), ""), (0.89, (0,), ""), (0.89, (0, 1), "in 2 of 3 models")):
        low = measured.copy()
        low.loc[of_pixel & low["seed"].isin(seeds), "correct"] = int(share * usual * 500)
        said = note(low)
        assert (expected in said) if expected else said == ""
    assert said.endswith(f"the clean accuracy is below 0.9 times the {usual:.3f} of unregularized (2)")
    alone = low[low["recipe"] != "unregularized"]
    assert "training" not in note(alone)


def test_a_training_of_another_setting_says_nothing():
    other = trained("pixel", ["penalty"] * 3).assign(task="mnist")
    assert set(KEY) < set(other.columns)
    assert note(measurements(attacks=ONE), other) == ""


def test_outcomes_by_the_layer_that_weights_collapse_on_are_means_over_its_models():
    measured = measurements(attacks=ONE)
    summary = trained("pixel", ["", "", ""]).assign(collapsed_on=["layer 1", "none", "layer 1"])
    found = collapses(settings(measured, rows(attacks=ONE)), pd.concat([summary, trained("thresholded", [""] * 3)]))
    assert found[["recipe", "collapsed_on", "models", "seed_list"]].to_numpy().tolist() == [
        ["pixel", "layer 1", 2, "0,2"],
        ["pixel", "none", 1, "1"],
    ]
    pixel = measured[measured["recipe"] == "pixel"]
    ends = pixel[pixel["strength"] == pixel["strength"].max()].set_index("seed")
    aucs = ends["area"] / ends["strength"]
    starts = pixel[pixel["strength"] == 0].set_index("seed")["accuracy"]
    assert found["mean_auc"].tolist() == pytest.approx([(aucs[0] + aucs[2]) / 2, aucs[1]])
    assert found["clean_accuracy"].tolist() == pytest.approx([(starts[0] + starts[2]) / 2, starts[1]], abs=2e-3)

"""Differences under other weights and ranges, on a board small enough to be computed by hand."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from robustbench_pix.leaderboard.terminal.comparison_text import stability, view_rows
from robustbench_pix.results.columns import MEASUREMENTS, typed
from robustbench_pix.results.statistics.comparisons import RANGES, auc_between, sensitivity, two_of
from robustbench_pix.results.statistics.measured import settings
from tests.tables import block, rows

STRENGTHS = (0.0, 0.2, 0.4, 0.8)
"""The range begins at 0.2, so that its length is 0.6."""

ACCESSES = {"gaussian": "none", "uniform": "none", "fgsm": "transfer", "pgd": "transfer", "boundary": "decisions"}
CURVES = {
    "gaussian": (0.9, 0.8, 0.6, 0.2),
    "uniform": (0.9, 0.9, 0.8, 0.4),
    "fgsm": (0.9, 0.6, 0.4, 0.4),
    "pgd": (0.9, 0.5, 0.3, 0.3),
    "boundary": (0.9, 0.7, 0.3, 0.1),
}
HELP = {"unregularized": (0.0, 0.0, 0.0), "thresholded": (0.03, 0.05, 0.1)}
"""What is added to every accuracy of a seed under noise; thresholded loses as much under pgd."""


def curve(attack, recipe, seed):
    sign = {"none": 1, "transfer": -(attack == "pgd"), "decisions": 0}[ACCESSES[attack]]
    return np.array(CURVES[attack]) + sign * HELP[recipe][seed] * np.array([0, 1, 1, 1])


def board():
    lines = []
    for recipe in HELP:
        for seed in range(3):
            for attack, access in ACCESSES.items():
                accuracy = curve(attack, recipe, seed)
                widths = np.diff(STRENGTHS) * [0, 1, 1]
                areas = [0.0, *np.cumsum(widths * (accuracy[1:] + accuracy[:-1]) / 2)]
                fixed = {"recipe": recipe, "seed": seed, "attack": attack, "access": access, "range_from": 0.2}
                fixed |= {"strength_kind": "linf", "n": 1000, "repetitions": 1, "failed": 0}
                lines += [
                    fixed | {"strength": strength, "accuracy": right, "correct": round(1000 * right), "area": area}
                    for strength, right, area in zip(STRENGTHS, accuracy, areas, strict=True)
                ]
    return typed(pd.DataFrame(lines).assign(**block()), MEASUREMENTS)


def both(measured=None):
    asked = rows(recipes=tuple(HELP), attacks=tuple(ACCESSES), seeds=range(3))
    (setting,) = settings(board() if measured is None else measured, asked)
    return two_of(setting, "thresholded", "unregularized")


def test_each_view_is_what_the_hand_computes():
    views = {(view["attacks"], view["range"]): view for view in sensitivity(*both())}
    help_ = np.array(HELP["thresholded"])
    # Each noise gains what is added to it; of transfer only pgd counts, the lower by .1, which loses as much.
    expected = {
        ("by threat group", "the suite's"): (help_ - help_ + 0) / 3,
        ("each the same", "the suite's"): (2 * help_ - help_) / 5,
        ("only no access", "the suite's"): help_,
        ("only transfer", "the suite's"): -help_,
        ("only decision-based", "the suite's"): 0 * help_,
        ("without no access", "the suite's"): -help_ / 2,
        ("without transfer", "the suite's"): help_ / 2,
        ("without decision-based", "the suite's"): 0 * help_,
        ("by threat group", "first quarter"): 0 * help_,
        ("by threat group", "lower half"): 0 * help_,
        ("by threat group", "upper half"): 0 * help_,
        ("by threat group", "whole, from 0"): 0 * help_,
    }
    assert list(views) == [*list(expected)[:8], *(("by threat group", name) for name in RANGES)]
    for view, differences in expected.items():
        assert views[view]["seeds"] == 3
        assert views[view]["difference"] == pytest.approx(differences.mean(), abs=1e-12)
        if np.ptp(differences):
            interval = stats.ttest_1samp(differences, 0).confidence_interval()
            assert (views[view]["low"], views[view]["high"]) == pytest.approx(tuple(interval))


def test_cut_ranges_are_trapezoids_of_the_curve_at_strengths_in_between():
    first, _ = both()
    expected = {"first quarter": (0.2, 0.35), "lower half": (0.2, 0.5), "upper half": (0.5, 0.8)}
    for name, (low, high) in (expected | {"whole, from 0": (0.0, 0.8)}).items():
        found = auc_between(first, RANGES[name])
        for seed in range(3):
            for attack in ACCESSES:
                fine = np.linspace(low, high, 30_001)
                accuracy = np.interp(fine, STRENGTHS, curve(attack, "thresholded", seed))
                assert found.loc[seed, attack] == pytest.approx(np.trapezoid(accuracy, fine) / (high - low), abs=1e-8)
    # The upper half of gaussian by hand: .45 at .5 + help, .2 at .8 + help.
    assert auc_between(first, RANGES["upper half"]).loc[0, "gaussian"] == pytest.approx((0.5 + 0.2) / 2 + 0.03)


def test_the_suite_s_own_range_by_interpolation_is_the_robustness():
    first, _ = both()
    pd.testing.assert_frame_equal(auc_between(first, lambda start, end: (start, end)), first.aucs)


def test_one_group_has_neither_alone_nor_without():
    measured = board()
    measured["access"] = "transfer"
    assert {view["attacks"] for view in sensitivity(*both(measured))} == {"by threat group", "each the same"}


def test_two_groups_have_no_view_twice():
    measured = board()
    measured.loc[measured["access"] == "decisions", "access"] = "transfer"
    views = [view["attacks"] for view in sensitivity(*both(measured))]
    assert views[:4] == ["by threat group", "each the same", "only no access", "only transfer"]
    assert not [view for view in views if view.startswith("without")]


def test_a_seed_that_lacks_an_attack_enters_no_view():
    measured = board()
    gone = (measured["seed"] == 1) & (measured["attack"] == "pgd") & (measured["recipe"] == "thresholded")
    assert {view["seeds"] for view in sensitivity(*both(measured[~gone]))} == {2}
    assert sensitivity(*both(measured[measured["attack"] != "pgd"])) == []


def test_recipes_of_a_block_have_the_same_views_whatever_was_measured():
    measured = board()
    gone = (measured["recipe"] == "unregularized") & (measured["attack"] == "pgd")
    assert sensitivity(*both(measured[~gone])) == []
    assert [len(recipes) for _, recipes in settings(measured[~gone], rows(recipes=tuple(HELP)))] == [2]


def view(difference, low, high):
    return {"attacks": "a", "range": "b", "seeds": 3, "difference": difference, "low": low, "high": high}


def test_the_sentence_counts_signs_and_intervals():
    views = [view(0.1, 0.05, 0.15), view(0.2, -0.1, 0.5), view(-0.1, -0.2, -0.05)]
    assert stability(views, "a", "b") == (
        "The difference a - b has the sign of the mean AUC's difference in 2 of 3 views; the 95% interval over "
        "seeds excludes 0 in 2, and that of the mean AUC excludes it."
    )
    assert "in all 1 views" in stability(views[1:2], "a", "b")
    assert stability(views[1:2], "a", "b").endswith("excludes 0 in 0, and that of the mean AUC includes it.")
    nothing = float("nan")
    assert stability([view(0.1, nothing, nothing)], "a", "b").endswith("with one seed there is no interval.")
    assert stability([], "a", "b") == "No seed of both a and b has every attack of the suite."
    assert view_rows([view(0.1, nothing, nothing)])[0]["95% CI over seeds"] == "–"

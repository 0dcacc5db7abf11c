import pandas as pd
import pytest

from robustbench_pix.leaderboard.terminal.plots import drawn_recipes, evenly, mean_curves, plots
from tests.tables import tables


def test_a_curve_is_the_mean_over_the_seeds_of_its_row():
    measured, board = tables(recipes=("unregularized", "pixel"), attacks=("gaussian",))
    board.loc[board["recipe"] == "pixel", "seed_list"] = "0,2"
    curves = mean_curves(board, measured)
    for recipe, seeds in (("unregularized", {0, 1, 2}), ("pixel", {0, 2})):
        for strength, mean in curves[recipe, "gaussian"].items():
            rows = measured[(measured["recipe"] == recipe) & (measured["strength"] == strength)]
            kept = [accuracy for accuracy, seed in zip(rows["accuracy"], rows["seed"], strict=True) if seed in seeds]
            assert mean == pytest.approx(sum(kept) / len(seeds))
    board["seed_list"] = ""  # no seed has all attacks
    everything = mean_curves(board, measured)["pixel", "gaussian"]
    assert everything.iloc[0] == pytest.approx(
        measured.loc[(measured["recipe"] == "pixel") & (measured["strength"] == 0), "accuracy"].mean()
    )


def test_strengths_are_spaced_evenly_whatever_was_measured():
    curve = pd.Series([1.0, 0.8, 0.0], index=[0.0, 0.1, 0.5])
    assert evenly(curve, 6) == pytest.approx([1.0, 0.8, 0.6, 0.4, 0.2, 0.0])


def test_unregularized_is_always_drawn_and_what_was_not_measured_is_not():
    curves = {(recipe, "gaussian"): pd.Series(dtype=float) for recipe in "pqrstu"}
    assert drawn_recipes(curves, list("pnqrstu")) == list("pqrs")
    curves["unregularized", "gaussian"] = pd.Series(dtype=float)
    assert drawn_recipes(curves, [*"pnqrstu", "unregularized"]) == ["unregularized", *"pqrs"]


@pytest.mark.parametrize("width", [32, 60, 80, 100, 160])
def test_plots_keep_within_the_width(width):
    measured, board = tables()
    curves = mean_curves(board, measured)
    attacks = ["gaussian", "uniform", "boundary"]
    lines = plots(curves, ["unregularized", "pixel"], attacks, dict.fromkeys(attacks, "sigma 0.5"), width)
    assert max(map(len, lines)) <= width
    assert sum("gaussian" in line.plain for line in lines) == 1
    assert plots(curves, ["unregularized"], attacks, {}, 31) == []
    assert plots({}, ["unregularized"], attacks, {}, width) == []

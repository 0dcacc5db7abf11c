import numpy as np
import pandas as pd
import pytest
from scipy import stats

from robustbench_pix.leaderboard.page.charts import (
    AT_FIRST,
    BOTTOM,
    LEFT,
    RIGHT,
    TOP,
    Points,
    line_styles,
    panel,
    spread,
)
from robustbench_pix.results.published_curves import FILE, read_curves
from robustbench_pix.results.statistics.aggregation import build_leaderboard
from robustbench_pix.results.statistics.aucs import strength_curves
from robustbench_pix.results.statistics.measured import settings
from tests.tables import ATTACKS, DISTANCE_ONLY, block, measurements, rows, tables


def one(found, **fields):
    (row,) = found[(found[list(fields)] == pd.Series(fields)).all(axis="columns")].to_dict("records")
    return row


def test_mean_and_band_are_those_of_scipy_over_seeds():
    measured, board = tables(seeds=(0, 1, 2, 5))
    found = strength_curves(measured, board)
    strength = measured["strength"].unique()[4]
    row = one(found, recipe="pixel", attack="uniform", strength=strength)
    chosen = (measured["recipe"] == "pixel") & (measured["attack"] == "uniform") & (measured["strength"] == strength)
    values = measured.loc[chosen, "accuracy"]
    expected = stats.t.interval(0.95, 3, loc=values.mean(), scale=stats.sem(values))
    assert (row["low"], row["high"]) == pytest.approx(expected, rel=1e-9)
    assert row["accuracy"] == pytest.approx(np.mean(values))
    assert row["seeds"] == 4


def test_only_the_seeds_of_the_row_enter_its_curves():
    measured = measurements(recipes=("unregularized", "pixel"), seeds=(0, 1, 2))
    lacking = (measured["recipe"] == "pixel") & (measured["attack"] == "boundary") & (measured["seed"] == 2)
    measured = measured[~lacking]
    board = build_leaderboard(settings(measured, rows(recipes=("unregularized", "pixel"))))
    found = strength_curves(measured, board).set_index("recipe")
    assert set(found.loc["pixel", "seeds"]) == {2}
    assert set(found.loc["unregularized", "seeds"]) == {3}


def test_a_row_without_a_score_still_has_its_curves_and_one_seed_has_no_band():
    measured = measurements(recipes=("unregularized", "pixel"), seeds=(4,), attacks=("gaussian", "uniform"))
    measured = measured[(measured["recipe"] != "pixel") | (measured["attack"] != "uniform")]
    board = build_leaderboard(
        settings(measured, rows(recipes=("unregularized", "pixel"), attacks=("gaussian", "uniform"), seeds=(4,)))
    )
    found = strength_curves(measured, board)
    assert set(found.loc[found["recipe"] == "pixel", "attack"]) == {"gaussian"}
    assert found[["low", "high"]].isna().all(axis=None)


def test_an_attack_that_reports_a_distance_has_no_curve():
    measured, board = tables(attacks=("gaussian", DISTANCE_ONLY))
    assert set(strength_curves(measured, board)["attack"]) == {"gaussian"}


def test_blocks_are_not_mixed():
    both = [measurements(block(task=task), key=key) for key, task in enumerate(("digits", "mnist"))]
    asked = pd.concat([rows(block(task="digits")), rows(block(task="mnist"))], ignore_index=True)
    found = strength_curves(pd.concat(both), build_leaderboard(settings(pd.concat(both), asked)))
    alone = strength_curves(both[1], build_leaderboard(settings(both[1], rows(block(task="mnist")))))
    pd.testing.assert_frame_equal(found[found["task"] == "mnist"].reset_index(drop=True), alone)
    assert len(found) == 2 * 6 * len(ATTACKS) * 10


def test_published_curves_are_shares_that_begin_at_no_attack():
    points = read_curves()
    assert len(points) == 140
    assert points["accuracy"].between(0, 1).all()
    lines = points.groupby(["task", "regularization_data", "attack", "recipe"])
    assert (lines["strength"].min() == 0).all()
    assert (lines.size() == 10).all()
    assert set(points["source"]) == {f"Attias et al. 2024, Fig. {name}" for name in ("2a", "2b", "2c", "3a", "3b")}
    assert "mnist,mnist,resnet18,gaussian,thresholded,0.277778,0.882," in FILE.read_text(encoding="utf-8")


def test_styles_are_told_apart_and_controls_are_dashed():
    _, board = tables()
    styles = line_styles(board)
    assert "neural" not in styles
    assert styles["unregularized"].colour == 0
    assert len({style[:2] for style in styles.values()}) == len(styles) == 6
    assert {name for name, style in styles.items() if style.dashes == "control"} == {
        "decorrelated",
        "shuffled",
        "statistics",
    }
    assert all(style.drawn for style in styles.values())


def test_of_many_recipes_the_best_claims_are_drawn_at_first():
    recipes = ("unregularized", *(f"claim-{number:02d}" for number in range(9)), "decorrelated")
    _, board = tables(recipes=recipes)
    styles = line_styles(board)
    assert len({style[:2] for style in styles.values()}) == len(recipes)
    claims = board[board["recipe"].str.startswith("claim")].sort_values("mean_auc", ascending=False)["recipe"]
    drawn = {name for name, style in styles.items() if style.drawn}
    assert drawn == {"unregularized", *claims[: AT_FIRST - 1]}


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("count", [1, 4, 9, 30])
def test_names_keep_their_order_and_do_not_overlap(seed, count):
    wanted = list(TOP + (BOTTOM - TOP) * np.random.default_rng(seed).beta(0.3, 0.3, count))
    placed = np.array(spread(wanted))
    assert (np.diff(placed[np.argsort(wanted)]) >= min(13, 180 / max(count - 1, 1)) - 0.21).all()
    assert placed.max() <= BOTTOM
    assert placed.min() >= TOP - 0.5


def test_paths_go_through_the_points():
    style = line_styles(tables()[1])["pixel"]
    line = Points("pixel", "pixel", style, False, [0.0, 1.0, 2.0], [1.0, 0.5, 0.0], [0.9, 0.4, -0.2], [1.2, 0.6, 0.1])
    (drawn,) = panel("gaussian", "none", "sigma", [line]).lines
    middle, half = (LEFT + RIGHT) / 2, (TOP + BOTTOM) / 2
    assert drawn.path == f"M{LEFT},{TOP}L{middle:g},{half:g}L{RIGHT},{BOTTOM}"
    assert drawn.band.startswith(f"M{LEFT},{TOP}L{middle:g},82L")  # an accuracy above 1 is drawn at 1
    assert drawn.band.endswith(f"L{RIGHT},{BOTTOM}L{middle:g},118L{LEFT},28Z")
    assert drawn.end == BOTTOM

"""Which published rows stay: those of others that hold what the new ones lack, and no others."""

import pytest

from robustbench_pix.errors import UserError
from robustbench_pix.results.frames import ROWS, typed
from robustbench_pix.results.standing import standing, without
from tests.tables import measurements, rows

RECIPES = ("unregularized", "pixel")
PUBLISHED = measurements(recipes=RECIPES, seeds=(0, 1))
PUBLISHED["model_id"] = PUBLISHED["recipe"] + PUBLISHED["seed"].astype(str)
LINES = typed(rows(recipes=RECIPES), ROWS)


def staying(new, tmp_path, ours=lambda model: False):
    return [row.key[-1] for row in standing(PUBLISHED, new, LINES, ours=ours, folder=tmp_path)]


def test_rows_that_were_not_measured_here_stay(tmp_path):
    assert staying(PUBLISHED[PUBLISHED["recipe"] != "pixel"], tmp_path) == ["pixel"]
    assert staying(PUBLISHED.iloc[:0], tmp_path) == list(RECIPES)
    gone = (PUBLISHED["recipe"] == "pixel") & (PUBLISHED["attack"] == "uniform") & (PUBLISHED["seed"] == 1)
    assert staying(PUBLISHED[~gone], tmp_path) == ["pixel"]


def test_what_was_measured_again_or_is_ours_is_replaced(tmp_path):
    assert staying(measurements(recipes=RECIPES, seeds=(0, 1, 2)), tmp_path) == []
    assert staying(PUBLISHED.iloc[:0], tmp_path, ours=lambda model: True) == []
    assert staying(PUBLISHED.iloc[:0], tmp_path, ours=lambda model: model != "pixel1") == ["pixel"]


@pytest.mark.parametrize("column", ["suite_hash", "task_hash"])
def test_what_cannot_stand_in_one_block_is_left_to_the_refusal_of_other_protocols(tmp_path, column):
    assert staying(PUBLISHED[PUBLISHED["seed"] == 0].assign(**{column: "other"}), tmp_path) == []


def test_another_recipe_of_that_name_is_refused(tmp_path):
    with pytest.raises(UserError, match="holds unregularized on digits:digits of others"):
        staying(PUBLISHED.assign(recipe_hash="other"), tmp_path)
    assert staying(PUBLISHED.assign(recipe_hash="other"), tmp_path, ours=lambda model: True) == []


def test_rows_of_plans_are_left_out_by_their_key(tmp_path):
    (kept,) = standing(
        PUBLISHED, PUBLISHED[PUBLISHED["recipe"] != "pixel"], LINES, ours=lambda model: False, folder=tmp_path
    )
    plan = [{"facts": row} for row in LINES.to_dict("records")]
    assert [row["facts"]["recipe"] for row in without(plan, [kept])] == ["unregularized"]
    assert str(kept).startswith("pixel on digits:digits under blackbox stays as published: nothing was measured here.")

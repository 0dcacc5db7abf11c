"""Which published rows stay: those of others that hold what the new ones lack, and no others."""

import pytest

from robustbench_pix.errors import UserError
from robustbench_pix.results.columns import REQUESTED, typed
from robustbench_pix.results.merging import refuse_other_recipes, standing, without
from robustbench_pix.runs.plan_store import PlannedRow
from tests.tables import measurements, rows

RECIPES = ("unregularized", "pixel")
PUBLISHED = measurements(recipes=RECIPES, seeds=(0, 1))
PUBLISHED["model_id"] = PUBLISHED["recipe"] + PUBLISHED["seed"].astype(str)
LINES = typed(rows(recipes=RECIPES), REQUESTED)


def staying(new, tmp_path, ours=lambda model: False):
    return [row.key[-1] for row in standing(PUBLISHED, new, LINES, ours=ours)]


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
    other, asked = PUBLISHED.assign(recipe_hash="other"), {"folder": tmp_path, "replace": ()}
    with pytest.raises(UserError, match=r"holds another unregularized on digits:digits .*publish --replace unreg"):
        refuse_other_recipes(PUBLISHED, other, LINES, **asked)
    newer = other.assign(suite_version=2)
    with pytest.raises(UserError, match="holds another unregularized"):
        refuse_other_recipes(PUBLISHED, newer, LINES.assign(suite_version=2), **asked)
    with pytest.raises(UserError, match="holds another pixel"):
        refuse_other_recipes(PUBLISHED, other, LINES, folder=tmp_path, replace=("unregularized",))
    refuse_other_recipes(PUBLISHED, other, LINES, folder=tmp_path, replace=RECIPES)
    refuse_other_recipes(PUBLISHED, PUBLISHED, LINES, **asked)
    refuse_other_recipes(PUBLISHED, other.iloc[:0], LINES, **asked)


def test_rows_of_plans_are_left_out_by_their_key(tmp_path):
    (kept,) = standing(PUBLISHED, PUBLISHED[PUBLISHED["recipe"] != "pixel"], LINES, ours=lambda model: False)
    plan = [PlannedRow(row) for row in LINES.to_dict("records")]
    assert [row.recipe for row in without(plan, [kept])] == ["unregularized"]
    assert str(kept).startswith("pixel on digits:digits under blackbox stays as published: nothing was measured here.")

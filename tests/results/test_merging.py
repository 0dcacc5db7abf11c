import pandas as pd
import pytest

from robustbench_pix.errors import UserError
from robustbench_pix.leaderboard.publishing import publish
from robustbench_pix.results.board import Board, published_board
from robustbench_pix.results.columns import MEASUREMENTS, REQUESTED, typed
from robustbench_pix.results.merging import merge, refuse_other_protocols
from robustbench_pix.results.published.csv_io import as_published
from robustbench_pix.results.statistics.aggregation import build_leaderboard
from robustbench_pix.results.statistics.measured import settings
from tests.tables import measurements, rows

OURS, THEIRS = ("unregularized", "pixel", "neural"), ("thresholded", "shuffled")
EVERYTHING = measurements(recipes=(*OURS, *THEIRS))


def of(recipes):
    return EVERYTHING[EVERYTHING["recipe"].isin(recipes)].reset_index(drop=True)


def test_ranks_and_gains_are_those_of_a_board_made_at_once():
    lines = merge(typed(rows(recipes=OURS), REQUESTED), typed(rows(recipes=THEIRS), REQUESTED))
    merged = build_leaderboard(settings(merge(of(OURS), of(THEIRS)), lines)).set_index("recipe").sort_index()
    at_once = build_leaderboard(settings(EVERYTHING, rows(recipes=(*OURS, *THEIRS)))).set_index("recipe").sort_index()
    pd.testing.assert_frame_equal(merged, at_once, check_like=True)
    assert merged["gain"].notna().sum() == 3


def changed(rows, **values):
    return as_published(rows.assign(**values), MEASUREMENTS)


def of_attack(rows, attack, **values):
    return rows.assign(**{name: rows[name].where(rows["attack"] != attack, value) for name, value in values.items()})


def test_new_rows_beside_published_ones_are_refused_when_they_were_measured_by_other_means(tmp_path):
    published, new = changed(of(OURS)), changed(of(THEIRS))
    refuse_other_protocols(published, new, tmp_path, {})
    with pytest.raises(UserError, match=r"\(unregularized, pixel\) .* measured with another protocol of the task"):
        refuse_other_protocols(published, changed(new, task_hash="other"), tmp_path, {})
    with pytest.raises(UserError, match="measured with version 1 of the suite and not 2; move them away"):
        refuse_other_protocols(published, changed(new, suite_version=2), tmp_path, {})
    with pytest.raises(UserError, match="measured with another uniform; move them away"):
        refuse_other_protocols(
            published, of_attack(new, "uniform", attack_hash="x", suite_hash="y").assign(suite_hash="y"), tmp_path, {}
        )
    with pytest.raises(UserError, match="measured with another list of attacks in the suite"):
        refuse_other_protocols(published, changed(new, suite_hash="other"), tmp_path, {})


def test_the_provenance_tells_other_data_from_another_protocol(tmp_path):
    published, new = changed(of(OURS), task_hash="a"), changed(of(THEIRS), task_hash="b")
    task = {"dataset": "d1", "colour": "gray", "training": {"epochs": 20, "learning_rate": 0.1}}
    tasks = {"a": {"numerics": 3, "task": task}, "b": {"numerics": 3, "task": {**task, "dataset": "d2"}}}
    with pytest.raises(UserError, match=r"measured with other data \(digest d1 and not d2\)"):
        refuse_other_protocols(published, new, tmp_path, tasks)
    tasks["b"]["task"] = {**task, "training": {"epochs": 5, "learning_rate": 0.1}}
    with pytest.raises(UserError, match=r"measured with another protocol of the task \(epochs\)"):
        refuse_other_protocols(published, new, tmp_path, tasks)
    tasks["b"] = {"numerics": 4, "task": task}
    with pytest.raises(UserError, match="another numerics version of the engine"):
        refuse_other_protocols(published, new, tmp_path, tasks)


@pytest.mark.parametrize("other", [{"task_hash": "other"}, {"suite_version": 2}])
def test_measuring_everything_again_replaces_the_old_protocol(tmp_path, other):
    published = changed(of(OURS))
    new = changed(published, **other)
    refuse_other_protocols(published, new, tmp_path, {})
    pd.testing.assert_frame_equal(merge(published, new), new)


def test_what_was_requested_is_read_again_as_it_was(tmp_path):
    """What is missing, what failed and why stay the same in a leaderboard that is derived from published files."""
    measured = of(OURS)
    gone = (measured["recipe"] == "pixel") & (measured["attack"] == "uniform") & (measured["seed"] == 1)
    nowhere = measured["attack"] == "boundary"
    asked = rows(recipes=OURS)
    asked["note"] = asked["note"].where(asked["recipe"] != "pixel", "uniform on pixel: OutOfMemoryError: no memory")
    board = Board(as_published(measured[~gone & ~nowhere], MEASUREMENTS), typed(asked, REQUESTED))
    rows_of = board.leaderboard.set_index("recipe")
    assert rows_of.loc["pixel", "note"].endswith("uniform (seed 1), boundary (seeds 0, 1, 2)")
    assert rows_of.loc["neural", "status"] == "not run"
    publish(tmp_path, board)
    again = published_board(tmp_path)
    pd.testing.assert_frame_equal(again.leaderboard, again.derived_again().leaderboard)
    pd.testing.assert_frame_equal(again.leaderboard.set_index("recipe").loc[rows_of.index], rows_of)

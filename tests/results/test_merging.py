import pandas as pd
import pytest

from robustbench_pix.errors import UserError
from robustbench_pix.leaderboard.csv_text import as_published
from robustbench_pix.leaderboard.publishing import merge
from robustbench_pix.results.aggregation import build_leaderboard
from robustbench_pix.results.columns import MEASUREMENTS
from robustbench_pix.results.frames import ROWS, typed
from robustbench_pix.results.merging import asked_rows, refuse_other_protocols
from tests.tables import measurements, rows

OURS, THEIRS = ("unregularized", "pixel", "neural"), ("thresholded", "shuffled")
EVERYTHING = measurements(recipes=(*OURS, *THEIRS))


def of(recipes):
    return EVERYTHING[EVERYTHING["recipe"].isin(recipes)].reset_index(drop=True)


def test_ranks_and_gains_are_those_of_a_board_made_at_once():
    published = build_leaderboard(of(OURS), rows(recipes=OURS))
    lines = merge(asked_rows(published, of(OURS)), typed(rows(recipes=THEIRS), ROWS))
    merged = build_leaderboard(merge(of(OURS), of(THEIRS)), lines).set_index("recipe").sort_index()
    at_once = build_leaderboard(EVERYTHING, rows(recipes=(*OURS, *THEIRS))).set_index("recipe").sort_index()
    pd.testing.assert_frame_equal(merged, at_once, check_like=True)
    assert merged["gain"].notna().sum() == 3


def test_a_published_row_asks_again_for_what_it_was():
    published = build_leaderboard(of(OURS), rows(recipes=OURS))
    again = build_leaderboard(of(OURS), asked_rows(published, of(OURS)))
    pd.testing.assert_frame_equal(published, again)


@pytest.mark.parametrize(("column", "what"), [("task_hash", "task or its data"), ("suite_hash", "suite")])
def test_rows_of_another_protocol_are_refused(tmp_path, column, what):
    published = as_published(of(OURS), MEASUREMENTS)
    new = as_published(of(THEIRS), MEASUREMENTS)
    refuse_other_protocols(published, new, tmp_path)
    with pytest.raises(UserError, match=f"were measured with another {what}"):
        refuse_other_protocols(published, new.assign(**{column: "other"}), tmp_path)


def test_measuring_everything_again_replaces_the_old_protocol(tmp_path):
    published = as_published(of(OURS), MEASUREMENTS)
    refuse_other_protocols(published, published.assign(task_hash="other"), tmp_path)

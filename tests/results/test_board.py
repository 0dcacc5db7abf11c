"""A board derives each table once, whatever it was made from, and a part of it keeps the numbers of the whole."""

import pandas as pd
import pytest

from robustbench_pix.errors import UserError
from robustbench_pix.leaderboard.publishing import publish
from robustbench_pix.results import board as boards
from robustbench_pix.results.board import DERIVED, Board, published_board
from robustbench_pix.results.columns import MEASUREMENTS, REQUESTED, typed
from robustbench_pix.results.published.csv_io import as_published
from tests.tables import block, measurements, rows

PLACES = (block(), block("mnist", "natural"), block(suite="paper", protocol="paper"))


@pytest.fixture
def board():
    """Give two combinations under one suite, and one of them under another."""
    measured = pd.concat([measurements(of, key=key) for key, of in enumerate(PLACES)], ignore_index=True)
    asked = pd.concat([rows(of) for of in PLACES], ignore_index=True)
    return Board(as_published(measured, MEASUREMENTS), typed(asked, REQUESTED))


def test_each_table_is_derived_once_and_settings_for_all_of_them(board, monkeypatch):
    counts = dict.fromkeys(("settings", "build_leaderboard", "build_aucs", "build_comparisons", "aggregates"), 0)

    def counted(name, function):
        def call(*arguments):
            counts[name] += 1
            return function(*arguments)

        return call

    for name in counts:
        monkeypatch.setattr(boards, name, counted(name, getattr(boards, name)))
    for _ in range(2):
        for name in DERIVED:
            getattr(board, name)
    assert counts == dict.fromkeys(counts, 1)


def test_a_published_board_has_the_same_tables_and_reads_them_as_they_stand(board, tmp_path):
    publish(tmp_path, board)
    published = published_board(tmp_path)
    for name in DERIVED:
        one, other = (table.sort_values(list(table.columns[:12]), ignore_index=True) for table in (
            getattr(published, name), getattr(published.derived_again(), name)))  # fmt: skip
        pd.testing.assert_frame_equal(one, other, obj=name)
        assert len(one) == len(getattr(board, name))
    file = tmp_path / "leaderboard.csv"
    lines = file.read_text(encoding="utf-8").splitlines(keepends=True)
    file.write_text("".join(lines[:-1]), encoding="utf-8")
    assert len(published_board(tmp_path).leaderboard) == len(board.leaderboard) - 1
    assert len(published_board(tmp_path).derived_again().leaderboard) == len(board.leaderboard)


def test_a_part_keeps_the_numbers_of_the_whole(board):
    part = board.select("blackbox", ["mnist:natural"])
    assert set(part.measurements["task"]) == set(part.leaderboard["task"]) == {"mnist"}
    assert set(part.leaderboard["suite"]) == {"blackbox"}
    whole = board.leaderboard[(board.leaderboard["task"] == "mnist")].reset_index(drop=True)
    pd.testing.assert_frame_equal(part.leaderboard, whole)
    pd.testing.assert_frame_equal(part.derived_again().leaderboard, whole)
    everything = board.select()
    pd.testing.assert_frame_equal(everything.comparisons, board.comparisons)
    assert set(board.select("paper").aggregates["suite"]) <= {"paper"}
    pd.testing.assert_frame_equal(
        part.aggregates, board.aggregates[board.aggregates["suite"] == "blackbox"].reset_index(drop=True)
    )


@pytest.mark.parametrize(
    ("suite", "combinations", "said"),
    [
        ("noise", [], "suite on this board named 'noise'"),
        (None, ["mnist:mnist"], "combination on this board named 'mnist:mnist'"),
        ("paper", ["mnist:natural"], "combination on this board named 'mnist:natural'"),
    ],
)
def test_what_the_board_lacks_is_named(board, suite, combinations, said):
    with pytest.raises(UserError, match=said):
        board.select(suite, combinations)

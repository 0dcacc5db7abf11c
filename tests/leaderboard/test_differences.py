import json
import shutil

import pytest

from tests.leaderboard.conftest import Table, rbp


def changes(*folders):
    said = rbp("diff", *folders, "--format", "json")
    rows = json.loads(said.stdout)
    assert said.exit_code == bool(rows)
    return rows


def test_a_folder_does_not_differ_from_itself(made, copy):
    said = rbp("diff", made / "leaderboard", copy)
    assert (said.exit_code, said.output) == (0, "Nothing differs.\n")


@pytest.mark.parametrize(("shift", "covered"), [(0.25, "both"), (3.0, "neither")])
def test_changed_numbers_and_whether_intervals_cover_them(made, copy, shift, covered):
    board = Table(copy / "leaderboard.csv")
    place = board.where(recipe="thresholded")[0]
    score, low, high = (board.number(place, name) for name in ("score", "score_low", "score_high"))
    step = shift * (high - low) / 2
    board.write([place], score=score + step, score_low=low + step, score_high=high + step, rank="5")
    found = {row["column"]: row for row in changes(made / "leaderboard", copy)}
    assert list(found) == ["score", "rank"]
    assert {row["recipe"] for row in found.values()} == {"thresholded"}
    assert found["score"]["difference"] == pytest.approx(step, rel=1e-6)
    assert found["score"]["covered"] == covered
    assert (found["rank"]["b"], found["rank"]["covered"]) == ("5", "")
    back = {row["column"]: row for row in changes(copy, made / "leaderboard")}
    assert back["score"]["difference"] == pytest.approx(-step, rel=1e-6)


def test_an_interval_of_one_side_alone_is_named(made, copy):
    board = Table(copy / "leaderboard.csv")
    place = board.where(recipe="thresholded")[0]
    score, low, high = (board.number(place, name) for name in ("score", "score_low", "score_high"))
    board.write([place], score=score + (high - low) / 4, score_low="0.99", score_high="0.999")
    assert [row["covered"] for row in changes(made / "leaderboard", copy)] == ["A"]
    assert [row["covered"] for row in changes(copy, made / "leaderboard")] == ["B"]


def test_rows_of_one_side_and_numbers_that_are_gone(made, copy):
    board = Table(copy / "leaderboard.csv")
    board.write(board.where(recipe="thresholded"), gain="", status="incomplete")
    board.rows = board.rows[board.rows["recipe"] != "neural"]
    board.write()
    found = [(row["recipe"], row["what"], row["column"]) for row in changes(made / "leaderboard", copy)]
    assert sorted(found) == [
        ("neural", "only in A", ""),
        ("thresholded", "number", "gain"),
        ("thresholded", "status", "status"),
    ]
    found = changes(copy, made / "leaderboard")
    assert ("neural", "only in B") in [(row["recipe"], row["what"]) for row in found]
    assert all(row["difference"] is None for row in found)


def test_hashes_and_versions(made, copy):
    measured = Table(copy / "measurements.csv")
    chosen = measured.where(recipe="net", attack="gaussian")
    measured.write(chosen, attack_hash="0123456789abcdef")
    measured.write(measured.where(recipe="net"), torch="3.0.0")
    found = {(row["what"], row["column"]): row for row in changes(made / "leaderboard", copy)}
    assert list(found) == [("origin", "torch"), ("hash", "attack_hash gaussian")]
    assert found["origin", "torch"]["b"] == "3.0.0"
    assert found["hash", "attack_hash gaussian"]["b"] == "0123456789abcdef"


def test_a_table_for_people_and_two_for_machines(made, copy, tmp_path, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    board = Table(copy / "leaderboard.csv")
    before = board.number(board.where(recipe="thresholded")[0], "score")
    board.write(board.where(recipe="thresholded"), score="0.123456")
    board.rows = board.rows[board.rows["recipe"] != "neural"]
    board.write()
    said = rbp("diff", made / "leaderboard", copy)
    assert said.exit_code == 1
    *table, count = said.output.splitlines()
    assert count == "2 differences."
    assert max(map(len, table)) <= 80
    assert table[0].split() == ["recipe", "what", "A", "B", "B", "-", "A", "covered"]
    assert table[2].split()[:4] == ["thresholded", "score", f"{before:.4g}", "0.1235"]
    assert table[3].split() == ["neural", "only", "in", "A"]
    assert rbp("diff", made / "leaderboard", copy, "--format", "csv").stdout.startswith("suite,suite_version,protocol")
    assert rbp("diff", made / "leaderboard", copy, "--format", "markdown").stdout.startswith("| suite | suite_version ")
    assert "it holds no measurements.csv" in rbp("diff", copy, tmp_path).output
    shutil.rmtree(copy)
    assert rbp("diff", made / "leaderboard", copy).exit_code == 2

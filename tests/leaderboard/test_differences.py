import json
import shutil

import pytest

from tests.leaderboard.conftest import Table, rbp


def differing(*folders):
    said = rbp("diff", *folders, "--format", "json")
    rows = json.loads(said.stdout)
    assert said.exit_code == bool(rows)
    return rows


def changes(*folders):
    """Return what differs between the boards, without the files."""
    return [row for row in differing(*folders) if row["task"]]


def files(*folders):
    return [(row["what"], row["column"], row["a"], row["b"]) for row in differing(*folders) if not row["task"]]


def test_a_folder_does_not_differ_from_itself(made, copy):
    said = rbp("diff", made / "leaderboard", copy)
    assert (said.exit_code, said.output) == (0, "Nothing differs.\n")


@pytest.mark.parametrize(("shift", "covered"), [(0.25, "both"), (3.0, "neither")])
def test_changed_numbers_and_whether_intervals_cover_them(made, copy, shift, covered):
    board = Table(copy / "leaderboard.csv")
    place = board.where(recipe="thresholded")[0]
    mean_auc, low, high = (board.number(place, name) for name in ("mean_auc", "mean_auc_low", "mean_auc_high"))
    step = shift * (high - low) / 2
    board.write([place], mean_auc=mean_auc + step, mean_auc_low=low + step, mean_auc_high=high + step, rank="5")
    found = {row["column"]: row for row in changes(made / "leaderboard", copy)}
    assert list(found) == ["mean_auc", "rank"]
    assert {row["recipe"] for row in found.values()} == {"thresholded"}
    assert found["mean_auc"]["difference"] == pytest.approx(step, rel=1e-6)
    assert found["mean_auc"]["covered"] == covered
    assert (found["rank"]["b"], found["rank"]["covered"]) == ("5", "")
    back = {row["column"]: row for row in changes(copy, made / "leaderboard")}
    assert back["mean_auc"]["difference"] == pytest.approx(-step, rel=1e-6)


def test_an_interval_of_one_side_alone_is_named(made, copy):
    board = Table(copy / "leaderboard.csv")
    place = board.where(recipe="thresholded")[0]
    mean_auc, low, high = (board.number(place, name) for name in ("mean_auc", "mean_auc_low", "mean_auc_high"))
    board.write([place], mean_auc=mean_auc + (high - low) / 4, mean_auc_low="0.99", mean_auc_high="0.999")
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
    before = board.number(board.where(recipe="thresholded")[0], "mean_auc")
    board.write(board.where(recipe="thresholded"), mean_auc="0.123456")
    board.rows = board.rows[board.rows["recipe"] != "neural"]
    board.write()
    said = rbp("diff", made / "leaderboard", copy)
    assert said.exit_code == 1
    blank = said.output.splitlines().index("")
    table, files = said.output.splitlines()[:blank], said.output.splitlines()[blank + 1 :]
    assert table[0] == "tiny : tiny  suite tiny 1, network small, gray, float32"
    assert table[1].split() == ["recipe", "what", "A", "B", "B", "-", "A", "covered"]
    assert table[3].split()[:4] == ["thresholded", "mean_auc", f"{before:.4g}", "0.1235"]
    assert table[4].split() == ["neural", "only", "in", "A"]
    assert (files[0], files[1].split()) == ("Files", ["file", "A", "B"])
    assert files[-1] == "3 differences."
    assert max(map(len, said.output.splitlines())) <= 80
    assert rbp("diff", made / "leaderboard", copy, "--format", "csv").stdout.startswith("suite,suite_version,protocol")
    assert rbp("diff", made / "leaderboard", copy, "--format", "markdown").stdout.startswith("| suite | suite_version ")
    assert "it holds no measurements.csv" in rbp("diff", copy, tmp_path).output
    shutil.rmtree(copy)
    assert rbp("diff", made / "leaderboard", copy).exit_code == 2


def test_numbers_and_words_of_a_row_that_have_no_interval(made, copy):
    board = Table(copy / "leaderboard.csv")
    (place,) = board.where(recipe="thresholded")
    board.write([place], **{"auc_gaussian": "0.5", "worst_case": "0.25", "note": "new", "gradients": "sound"})
    found = {row["column"]: row for row in changes(made / "leaderboard", copy)}
    assert {name: row["what"] for name, row in found.items()} == {
        "note": "status", "gradients": "status", "worst_case": "number", "auc_gaussian": "number",
    }  # fmt: skip
    old = Table(made / "leaderboard/leaderboard.csv").number(place, "auc_gaussian")
    assert found["auc_gaussian"]["difference"] == pytest.approx(0.5 - old)
    board.rows = board.rows.drop(columns="auc_gaussian")
    board.write()
    gone = {row["recipe"]: row for row in changes(made / "leaderboard", copy) if row["column"] == "auc_gaussian"}
    assert {row["b"] for row in gone.values()} == {""}
    assert set(gone) == {"unregularized", "thresholded", "net"}


def test_a_row_under_another_version_of_the_suite_is_the_same_row(made, copy):
    for name in ("leaderboard", "measurements"):
        table = Table(copy / f"{name}.csv")
        table.write(table.where(recipe="thresholded"), suite_version="2")
    (found,) = changes(made / "leaderboard", copy)
    assert {name: found[name] for name in ("recipe", "what", "column", "a", "b")} == {
        "recipe": "thresholded", "what": "version", "column": "suite_version", "a": "1", "b": "2",
    }  # fmt: skip
    (back,) = changes(copy, made / "leaderboard")
    assert (back["a"], back["b"]) == ("2", "1")


def test_other_data_is_told_where_both_say_what_it_was(made, copy):
    file = copy / "provenance.json"
    provenance = json.loads(file.read_text())
    for row in provenance["rows"]:
        row["data"]["task"] = "0123456789abcdef"
    file.write_text(json.dumps(provenance))
    found = changes(made / "leaderboard", copy)
    assert {(row["recipe"], row["what"], row["column"], row["b"]) for row in found} == {
        (recipe, "hash", "data of task", "0123456789abcdef") for recipe in ("unregularized", "thresholded", "net")
    }
    assert files(made / "leaderboard", copy) == [("file", "provenance.json", "", "")]
    file.unlink()
    assert changes(made / "leaderboard", copy) == []
    assert files(made / "leaderboard", copy) == [("only in A", "provenance.json", "", "")]


def test_files_that_are_gone_or_hold_something_else(made, copy):
    measured = Table(copy / "measurements.csv")
    measured.write([3, 4], failed="1")
    (copy / "leaderboard.svg").unlink()
    (copy / "notes.txt").write_text("more")
    (copy / "examples.parquet").write_bytes(b"other")
    for name in ("index.html", "costs.csv"):  # drawn from the tables; times
        (copy / name).write_text((copy / name).read_text() + "\n")
    assert files(made / "leaderboard", copy) == [
        ("file", "examples.parquet", "", ""),
        ("only in A", "leaderboard.svg", "", ""),
        ("file", "measurements.csv", "2 lines", "2 lines"),
        ("only in B", "notes.txt", "", ""),
    ]
    measured.rows = measured.rows.drop(4)
    measured.write()
    assert ("file", "measurements.csv", "2 lines", "1 line") in files(made / "leaderboard", copy)

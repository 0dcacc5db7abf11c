import numpy as np
import pandas as pd
import pytest

from robustbench_pix.catalogue.workspace import SHIPPED
from robustbench_pix.errors import UserError
from robustbench_pix.leaderboard.published.csv_text import as_published, to_csv_text
from robustbench_pix.leaderboard.published.publishing import merge, publish, read_costs, read_published, read_queries
from robustbench_pix.results.columns import COSTS, MEASUREMENTS, QUERIES, names
from robustbench_pix.results.frames import leaderboard_columns, typed
from robustbench_pix.results.statistics.aggregation import build_leaderboard
from tests.tables import ATTACKS, DISTANCE_ONLY, block, costs, measurements, rows, tables

ALL = (*ATTACKS, DISTANCE_ONLY)
TABLES = ["measurements", "leaderboard", "robustness", "comparisons", "costs", "recipe-costs"]
FILES = [*(f"{table}.csv" for table in TABLES), "leaderboard.svg", "index.html", "README.md", "schema.json"]


@pytest.fixture
def published(tmp_path):
    measured, board = tables(attacks=ALL)
    publish(tmp_path, measurements=measured, leaderboard=board, costs=costs())
    return tmp_path


def bytes_of(folder):
    return {file.name: file.read_bytes() for file in folder.iterdir()}


def test_files(published, tmp_path_factory):
    other = tmp_path_factory.mktemp("other")
    measured, board = tables(attacks=ALL)
    shuffled = {"measurements": measured.sample(frac=1, random_state=1), "leaderboard": board.iloc[::-1]}
    files = publish(other / "new", **shuffled, costs=costs().iloc[::-1])
    assert [file.name for file in files] == FILES
    assert bytes_of(other / "new") == bytes_of(published)
    assert all(b"\r" not in data and data.endswith(b"\n") for data in bytes_of(published).values())


def test_round_trip(published):
    measured, board = read_published(published)
    before = bytes_of(published)
    publish(published, measurements=measured, leaderboard=board, costs=read_costs(published))
    assert bytes_of(published) == before
    original, original_board = tables(attacks=ALL)
    assert measured.dtypes.equals(original.dtypes)
    assert board.dtypes.equals(original_board.dtypes)
    by = ["recipe", "seed", "attack", "strength"]
    expected = original.sort_values(by, ignore_index=True)
    pd.testing.assert_frame_equal(measured.sort_values(by, ignore_index=True), expected, rtol=1e-9)


def test_a_leaderboard_built_from_published_measurements_is_the_published_one(tmp_path):
    measured = as_published(measurements(attacks=ALL), MEASUREMENTS)
    board = build_leaderboard(measured, rows(attacks=ALL))
    publish(tmp_path, measurements=measured, leaderboard=board, costs=costs())
    before = bytes_of(tmp_path)
    read, _ = read_published(tmp_path)
    again = build_leaderboard(read, rows(attacks=ALL))
    publish(tmp_path, measurements=read, leaderboard=again, costs=costs())
    assert bytes_of(tmp_path) == before


def test_queries_are_published_where_there_are_some(tmp_path, published):
    assert not (published / "queries.csv").exists()
    assert read_queries(published).empty
    measured, board = tables()
    lines = [block() | {"recipe": "pixel", "attack": "boundary", "strength": 0.5, "n": 7, "success_at_10": 1 / 3}]
    asked = typed(pd.DataFrame(lines), QUERIES)
    publish(tmp_path, measurements=measured, leaderboard=board, costs=costs(), queries=asked)
    before = bytes_of(tmp_path)
    assert b"against queries" in before["index.html"]
    again = read_queries(tmp_path)
    pd.testing.assert_frame_equal(again, asked, rtol=1e-9)
    publish(tmp_path, measurements=measured, leaderboard=board, costs=costs(), queries=again)
    assert bytes_of(tmp_path) == before


def test_nothing_published(tmp_path):
    assert read_published(tmp_path) is None
    assert list(read_costs(tmp_path).columns) == names(COSTS)
    empty = read_costs(tmp_path)
    publish(tmp_path, measurements=measurements().iloc[:0], leaderboard=tables()[1].iloc[:0], costs=empty)
    measured, board = read_published(tmp_path)
    assert measured.empty
    assert board.empty
    assert measured.dtypes.equals(measurements().dtypes)


def test_merge_replaces_a_recipe_and_keeps_the_others():
    mine, theirs = measurements(seeds=(0, 1, 2)), measurements(block("mnist", "mnist"))
    new = measurements(recipes=("unregularized", "pixel"), seeds=(7,))
    merged = merge(pd.concat([mine, theirs], ignore_index=True), new)
    kept = merged[merged["task"] == "mnist"].reset_index(drop=True)
    pd.testing.assert_frame_equal(kept, theirs)
    here = merged[merged["task"] == "digits"]
    assert set(here.loc[here["recipe"] == "pixel", "seed"]) == {7}
    assert set(here.loc[here["recipe"] == "thresholded", "seed"]) == {0, 1, 2}
    assert len(merge(merged, new)) == len(merged)


def test_merge_with_nothing():
    some = measurements()
    pd.testing.assert_frame_equal(merge(some.iloc[:0], some), some)
    pd.testing.assert_frame_equal(merge(some, some.iloc[:0]), some)
    assert list(merge(some.iloc[:0], some.iloc[:0]).columns) == names(MEASUREMENTS)


def test_leaderboards_of_different_suites_and_costs_merge(tmp_path):
    measured, board = tables()
    paper = block(suite="paper", protocol="paper")
    other_measured, other_board = tables(of=paper, attacks=("gaussian", DISTANCE_ONLY))
    merged = merge(other_board, board)
    bills = merge(costs(), costs().iloc[:1].assign(seconds=1.0), on=("kind", "id"))
    publish(tmp_path, measurements=merge(other_measured, measured), leaderboard=merged, costs=bills)
    _, read = read_published(tmp_path)
    assert len(read) == len(board) + len(other_board)
    assert list(read.columns[-2:]) == ["retained_boundary", f"distance_{DISTANCE_ONLY}"]
    assert read_costs(tmp_path)["seconds"].tolist() == [12.5, 1.0]


def test_readme_explains_every_column(published):
    text = (published / "README.md").read_text(encoding="utf-8")
    columns = (*MEASUREMENTS, *COSTS, *leaderboard_columns(read_published(published)[1].columns))
    for column in columns:
        assert f"| `{column.name}` | {column.kind} | {column.meaning} |" in text
    assert all(file in text for file in FILES if file != "README.md")


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda text: text.replace("strength,", "", 1), r"measurements.csv lacks the columns strength\."),
        (lambda text: text.replace("suite,", "sweet,", 1), "lacks the columns suite"),
        (lambda text: text.replace("\n", ",more\n", 1), "unknown columns: more"),
        (lambda text: text[: len(text) // 2], "measurements.csv, row .* fields where 37 belong"),
        (lambda text: text.replace("500", "many", 1), "measurements.csv, column n: .*many"),
        (lambda text: text + '"', "cannot be read as a table"),
        (lambda text: "", "lacks the columns suite, suite_version"),
    ],
)
def test_damaged_files_are_named(published, damage, message):
    file = published / "measurements.csv"
    file.write_text(damage(file.read_text(encoding="utf-8")), encoding="utf-8")
    with pytest.raises(UserError, match=message):
        read_published(published)


def test_tables_published_before_gradients_were_checked_are_read_and_published_again(published):
    measured, board = read_published(published)
    for name, table in (("measurements.csv", measured), ("leaderboard.csv", board)):
        columns = [column for column in table.columns if column != "gradients"]
        assert len(columns) == table.shape[1] - 1
        table[columns].to_csv(published / name, index=False)
    older = read_published(published)
    for read, table in zip(older, (measured, board), strict=True):
        pd.testing.assert_frame_equal(read, table.assign(gradients=""))
    publish(published, measurements=older[0], leaderboard=older[1], costs=costs())
    assert "gradients" in (published / "measurements.csv").read_text(encoding="utf-8").partition("\n")[0]


def test_what_the_package_ships_can_be_read():
    measured, board = read_published(SHIPPED / "leaderboard")
    assert set(board["recipe"]) >= set(measured["recipe"])


def test_half_a_publication_and_binary_junk(published):
    (published / "leaderboard.csv").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(UserError, match=r"leaderboard\.csv cannot be read"):
        read_published(published)
    (published / "leaderboard.csv").unlink()
    with pytest.raises(UserError, match=r"leaderboard\.csv cannot be read"):
        read_published(published)


def test_a_folder_that_cannot_be_written(tmp_path):
    (tmp_path / "file").write_text("")
    measured, board = tables()
    with pytest.raises(UserError, match="cannot be written"):
        publish(tmp_path / "file", measurements=measured, leaderboard=board, costs=costs())


def test_text_of_numbers_and_text():
    frame = measurements().iloc[:1].assign(area=-0.0, accuracy=1 / 3, note="x", flags='a "b",\n c', median_l2=np.nan)
    text = to_csv_text(frame, MEASUREMENTS)
    head, line, rest = text.split("\n")
    assert (head, rest) == (",".join(names(MEASUREMENTS)), "")
    assert ",0.3333333333,0," in line
    assert ',"a ""b"", c",' in line

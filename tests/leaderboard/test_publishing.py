import shutil

import numpy as np
import pandas as pd
import pytest

from robustbench_pix.catalogue.workspace import SHIPPED
from robustbench_pix.errors import UserError
from robustbench_pix.leaderboard.publishing import publish
from robustbench_pix.results.board import published_board
from robustbench_pix.results.columns import COSTS, MEASUREMENTS, QUERIES, names, typed
from robustbench_pix.results.derived_columns import leaderboard_columns
from robustbench_pix.results.merging import merge
from robustbench_pix.results.published.csv_io import as_published, to_csv_text
from robustbench_pix.results.published.reading import is_published, read_beside, read_leaderboard, read_published
from robustbench_pix.results.statistics.aggregation import build_leaderboard
from robustbench_pix.results.statistics.measured import settings
from tests.tables import DISTANCE_ONLY, as_board, block, costs, measurements, rows, tables

ALL = ("gaussian", "boundary", DISTANCE_ONLY)
TABLES = ["measurements", "requested", "leaderboard", "aucs", "comparisons", "costs", "recipe-costs"]
FILES = [
    *(f"{table}.csv" for table in TABLES),
    "leaderboard.svg",
    "index.html",
    "README.md",
    "schema.json",
    "provenance.json",
    "SHA256SUMS",
]


@pytest.fixture(scope="module")
def of_tables(tmp_path_factory):
    folder = tmp_path_factory.mktemp("of-tables")
    measured, board = tables(attacks=ALL)
    publish(folder, as_board(measured=measured, leaderboard=board, costs=costs()))
    return folder


@pytest.fixture
def published(of_tables, tmp_path):
    return shutil.copytree(of_tables, tmp_path, dirs_exist_ok=True)


def read(folder):
    """Return the published measurements and leaderboard."""
    return read_published(folder)[0], read_leaderboard(folder)


def bytes_of(folder):
    return {file.name: file.read_bytes() for file in folder.iterdir()}


def test_files(published, tmp_path_factory):
    other = tmp_path_factory.mktemp("other")
    measured, board = tables(attacks=ALL)
    shuffled = {"measured": measured.sample(frac=1, random_state=1), "leaderboard": board.iloc[::-1]}
    files = publish(other / "new", as_board(**shuffled, costs=costs().iloc[::-1]))
    assert [file.name for file in files] == FILES
    assert bytes_of(other / "new") == bytes_of(published)
    assert all(b"\r" not in data and data.endswith(b"\n") for data in bytes_of(published).values())


def test_round_trip(published):
    measured, board = read(published)
    before = bytes_of(published)
    publish(published, published_board(published))
    assert bytes_of(published) == before
    original, original_board = tables(attacks=ALL)
    assert measured.dtypes.equals(original.dtypes)
    assert board.dtypes.equals(original_board.dtypes)
    by = ["recipe", "seed", "attack", "strength"]
    expected = original.sort_values(by, ignore_index=True)
    pd.testing.assert_frame_equal(measured.sort_values(by, ignore_index=True), expected, rtol=1e-9)


def test_a_leaderboard_built_from_published_measurements_is_the_published_one(tmp_path):
    measured = as_published(measurements(attacks=ALL), MEASUREMENTS)
    board = build_leaderboard(settings(measured, rows(attacks=ALL)))
    publish(tmp_path, as_board(measured=measured, leaderboard=board, costs=costs()))
    before = bytes_of(tmp_path)
    known, _ = read(tmp_path)
    again = build_leaderboard(settings(known, rows(attacks=ALL)))
    publish(tmp_path, as_board(measured=known, leaderboard=again, costs=costs()))
    assert bytes_of(tmp_path) == before


def test_queries_are_published_where_there_are_some(tmp_path, published):
    assert not (published / "queries.csv").exists()
    assert read_beside(published, "queries.csv").empty
    measured, board = tables()
    lines = [block() | {"recipe": "pixel", "attack": "boundary", "strength": 0.5, "n": 7, "success_at_10": 1 / 3}]
    asked = typed(pd.DataFrame(lines), QUERIES)
    publish(tmp_path, as_board(measured=measured, leaderboard=board, costs=costs(), queries=asked))
    before = bytes_of(tmp_path)
    assert b"against queries" in before["index.html"]
    again = read_beside(tmp_path, "queries.csv")
    pd.testing.assert_frame_equal(again, asked, rtol=1e-9)
    publish(tmp_path, as_board(measured=measured, leaderboard=board, costs=costs(), queries=again))
    assert bytes_of(tmp_path) == before


@pytest.mark.parametrize(
    ("new", "said"),
    [
        ("../pixel", "'../pixel' in column recipe must not begin with any of"),
        ("a/pixel", "'a/pixel' in column recipe must not hold any of"),
        ("=1+pixel", "'=1[+]pixel' in column recipe must not begin with any of"),
        ("\x1b]52;c;aGk=\x07pixel", "holds control characters, which a terminal would obey"),
        ("\x9bpixel", "holds control characters"),
        ("\u202epixel", "in column recipe must be made of printable characters"),
    ],
)
def test_names_that_lead_elsewhere_are_refused(published, new, said):
    for file in (published / "measurements.csv", published / "leaderboard.csv"):
        file.write_text(file.read_text(encoding="utf-8").replace(",pixel,", f",{new},"), encoding="utf-8")
    for read_again in (read_published, read_leaderboard):
        with pytest.raises(UserError, match=said) as refusal:
            read_again(published)
    assert str(refusal.value).isprintable()


@pytest.mark.parametrize("gone", ["measurements.csv", "requested.csv", "leaderboard.csv"])
def test_an_interrupted_first_publish_is_one_sentence(published, gone):
    (published / gone).unlink()
    with pytest.raises(UserError, match=rf"lacks {gone}, as after an .*; delete .* and publish again"):
        published_board(published)


def test_nothing_published(tmp_path):
    assert not is_published(tmp_path)
    assert list(read_beside(tmp_path, "queries.csv").columns) == names(QUERIES)
    with pytest.raises(UserError, match=r"costs\.csv cannot be read as a table"):
        read_beside(tmp_path, "costs.csv")
    empty = costs().iloc[:0]
    publish(tmp_path, as_board(measured=measurements().iloc[:0], leaderboard=tables()[1].iloc[:0], costs=empty))
    measured, board = read(tmp_path)
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
    publish(tmp_path, as_board(measured=merge(other_measured, measured), leaderboard=merged, costs=bills))
    _, known = read(tmp_path)
    assert len(known) == len(board) + len(other_board)
    assert list(known.columns[-2:]) == ["relative_auc_boundary", f"distance_{DISTANCE_ONLY}"]
    assert read_beside(tmp_path, "costs.csv")["seconds"].tolist() == [12.5, 1.0]


def test_readme_explains_every_column(published):
    text = (published / "README.md").read_text(encoding="utf-8")
    columns = (*MEASUREMENTS, *COSTS, *leaderboard_columns(read(published)[1].columns))
    for column in columns:
        assert f"| `{column.name}` | {column.kind} | {column.meaning} |" in text
    assert all(file in text for file in FILES if file != "README.md")


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda text: text.replace("strength,", "", 1), r"measurements.csv lacks the columns strength\."),
        (lambda text: text.replace("suite,", "sweet,", 1), "lacks the columns suite"),
        (lambda text: text.replace("\n", ",more\n", 1), "unknown columns: more"),
        (lambda text: text[: len(text) // 2], f"measurements.csv, row .* fields where {len(MEASUREMENTS)} belong"),
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


def test_what_the_package_ships_can_be_read():
    measured, board = read(SHIPPED / "leaderboard")
    assert set(board["recipe"]) >= set(measured["recipe"])


def test_half_a_publication_and_binary_junk(published):
    (published / "leaderboard.csv").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(UserError, match=r"leaderboard\.csv cannot be read"):
        read_leaderboard(published)


def test_a_folder_that_cannot_be_written(tmp_path):
    (tmp_path / "file").write_text("")
    measured, board = tables()
    with pytest.raises(UserError, match="cannot be written"):
        publish(tmp_path / "file", as_board(measured=measured, leaderboard=board, costs=costs()))


def test_text_of_numbers_and_text():
    frame = measurements().iloc[:1].assign(area=-0.0, accuracy=1 / 3, note="x", flags='a "b",\n c', median_l2=np.nan)
    text = to_csv_text(frame, MEASUREMENTS)
    head, line, rest = text.split("\n")
    assert (head, rest) == (",".join(names(MEASUREMENTS)), "")
    assert ",0.3333333333,0," in line
    assert ',"a ""b"", c",' in line

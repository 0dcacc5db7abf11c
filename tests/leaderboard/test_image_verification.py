"""Queries and the worst case: derived again from the outcomes of images, and held against the counts without them."""

import shutil

import pandas as pd
import pytest

from robustbench_pix import run
from robustbench_pix.errors import UserError
from robustbench_pix.leaderboard.publishing import publish
from robustbench_pix.results.board import published_board
from robustbench_pix.results.checks.outcomes import stored_outcomes
from robustbench_pix.results.columns import QUERIES, WORST_CASE, names
from robustbench_pix.results.published.examples import published_outcomes
from robustbench_pix.results.published.verification import not_derived
from robustbench_pix.runs.store import Store
from tests.leaderboard.conftest import Table, rbp, verify
from tests.workspaces import LEARNT

ENTRY = """
summary = "To test with"
attack = "{attack}"
access = "{access}"
strength = "{norm}"
strengths = {{ tiny = {strengths} }}
parameters = {{ steps = 500 }}
evaluation = {{ images = 30, budget = 500 }}
"""
WALK = ENTRY.format(attack="boundary", access="decisions", norm="l2", strengths=[0.0, 0.8, 2.4])
SQUARES = ENTRY.format(attack="square", access="scores", norm="linf", strengths=[0.0, 0.05, 0.1, 0.2])


@pytest.fixture(scope="module")
def asked(tmp_path_factory, finished_jobs):
    """Give a workspace with what was published of a decision attack, a score attack and noise."""
    root = tmp_path_factory.mktemp("asked")
    files = {"walk": WALK, "squares": SQUARES}
    files["suites/three"] = 'version = 1\nsummary = "Three"\nattacks = ["walk", "squares", "gaussian"]\n'
    (root / "attacks/suites").mkdir(parents=True)
    (root / "models/tasks").mkdir(parents=True)
    for name, text in files.items():
        (root / f"attacks/{name}.toml").write_text(text)
    (root / "models/tasks/tiny.toml").write_text(LEARNT)
    run(suite="three", recipes="unregularized", on="tiny", seeds=2, workspace=root, executor="inline", device="cpu")
    rbp("publish", "--examples", "--workspace", root)
    return root


@pytest.fixture(params=["examples", "runs"])
def sources(request, asked, tmp_path):
    """Give a copy to be spoilt and the store of its runs: outcomes are published, or kept with the runs."""
    copy = shutil.copytree(asked / "leaderboard", tmp_path / "copy")
    if request.param == "examples":
        return copy, None
    (copy / "examples.parquet").unlink()
    return copy, Store(asked / "runs")


@pytest.fixture
def bare(asked, tmp_path):
    """Give a copy of the published folder without the outcomes of images."""
    copy = shutil.copytree(asked / "leaderboard", tmp_path / "bare")
    (copy / "examples.parquet").unlink()
    return copy


def told(folder, store=None):
    return [str(finding) for finding in verify(folder, store)]


def test_what_was_published_is_derived_again_and_said_where_it_is_not(asked, bare, sources):
    assert told(*sources) == told(bare) == []
    assert not_derived(*sources) == ""
    sentence = (
        "Not derived again, for want of the outcome of every image: 6 of 6 attacks in measurements.csv, "
        "2 of 2 in queries.csv, 2 of 2 worst cases and 6 of 6 covariances in sampling.csv."
    )
    assert sentence in not_derived(bare, None)
    said = rbp("verify", bare)
    assert said.exit_code == 0
    assert f"the files agree with each other.\n{sentence}" in said.output
    said = rbp("verify", bare, "--runs", asked, "--sample", 1, "--device", "cpu")
    assert said.exit_code == 0
    assert "Not derived" not in said.output


def test_attacks_of_which_some_outcomes_are_gone_are_said_to_be_not_derived(asked, bare, tmp_path):
    runs = shutil.copytree(asked / "runs", tmp_path / "some")
    measured = published_board(bare).measurements
    gone = measured.loc[(measured["attack"] == "walk") & (measured["seed"] == 1), "attack_id"].iloc[0]
    shutil.rmtree(runs / f"attack-{gone}")
    sentence = not_derived(bare, Store(runs))
    assert "1 of 6 attacks in measurements.csv, 1 of 2 in queries.csv, 1 of 2 worst cases and 3 of 6 " in sentence
    assert told(bare, Store(runs)) == []


def test_every_covariance_is_derived_again(sources):
    folder, store = sources
    table = Table(folder / "sampling.csv")
    assert set(table.rows["measure"]) >= {"mean_auc", "clean_accuracy", "auc_walk", "auc_worst-case"}
    for place in range(len(table.rows)):
        table.write([place], covariance=f"{float(table.rows.loc[place, 'covariance']) * 1.001:.10g}")
    found = [line for line in told(folder, store) if line.startswith("sampling.csv")]
    assert any("covariance" in line and "but the images give" in line for line in found)


def test_a_forged_covariance_is_noticed_without_the_images_by_the_intervals_that_follow_from_it(bare):
    table = Table(bare / "sampling.csv")
    (place,) = table.where(measure="mean_auc")
    # Two seeds vary so much that only a larger variance over images makes the wider interval.
    table.write([place], covariance=f"{float(table.rows.loc[place, 'covariance']) * 1e4:.10g}")
    assert any("leaderboard.csv" in line and "mean_auc_low" in line for line in told(bare))


def test_every_number_of_queries_is_derived_again(sources):
    folder, store = sources
    table = Table(folder / "queries.csv")
    numbers = names(QUERIES)[names(QUERIES).index("median_queries") :]
    expected = set()
    for place in (table.where(attack="walk")[-1], table.where(attack="squares")[-1]):
        for column in numbers:
            if table.rows.loc[place, column] not in ("", "0"):
                expected.add((place + 1, column))
                table.write([place], **{column: table.number(place, column) * (1 - 1e-7)})
    assert {"median_high", "restricted_mean_queries", "success_at_300", "distance_at_300"} < {
        column for _, column in expected
    }
    found = [finding for finding in verify(folder, store) if "but the images give" in finding.fault]
    assert {(one.row, one.column) for one in found} == expected
    assert {one.file for one in found} == {"queries.csv"}


SQUARES_LAST = {"attack": "squares", "strength": "0.2"}


def test_rows_of_queries_that_are_gone_or_stand_there_twice(bare):
    table = Table(bare / "queries.csv")
    rows = table.rows
    table.rows = rows.drop(table.where(**SQUARES_LAST))
    table.write()
    (found,) = told(bare)
    assert found.startswith("queries.csv: the row of three, 1, strict, tiny, ")
    assert found.endswith("unregularized, squares, 0.2 is missing.")
    table.rows = pd.concat([rows, rows.tail(1)])
    table.write()
    assert told(bare) == [f"queries.csv, row {len(rows) + 1}, strength: the row of walk stands there twice."]
    table.file.unlink()
    assert len(told(bare)) == len(rows) == 5


def raised_worst_case(folder):
    """Let one image more survive all attacks at the largest share, with all that follows; publish everything again."""
    table = Table(folder / "measurements.csv")
    worst = {"attack": WORST_CASE, "seed": "1"}
    last, before, clean = (table.where(**worst, strength=share)[0] for share in ("1", "0.75", "0"))
    n, correct = table.number(last, "n"), table.number(last, "correct") + 1
    facts = {"correct": f"{correct:.0f}", "accuracy": correct / n}
    facts["success_rate"] = 1 - correct / table.number(clean, "correct")
    facts["area"] = table.number(before, "area") + 0.125 * (table.number(before, "accuracy") + correct / n)
    table.write([last], **facts)
    publish(folder, published_board(folder))
    return last


def test_a_better_worst_case_in_every_table_is_seen_in_the_outcomes(sources, bare):
    for folder, store, seen in ((bare, None, False), (*sources, True)):
        last = raised_worst_case(folder)
        found = [finding for finding in verify(folder, store) if "but the images give" in finding.fault]
        wrong = [(one.file, one.row, one.column) for one in found]
        expected = [("measurements.csv", last + 1, name) for name in ("correct", "accuracy", "area", "success_rate")]
        assert wrong == (expected if seen else [])


WORST = {"attack": WORST_CASE, "seed": "1"}


def test_the_area_of_a_worst_case_is_the_one_under_its_accuracies(bare):
    table = Table(bare / "measurements.csv")
    (place,) = table.where(**WORST, strength="0.5")
    accuracies = [table.number(table.where(**WORST, strength=share)[0], "accuracy") for share in ("0.25", "0.5")]
    assert accuracies[0] > accuracies[1]
    table.write([place], area=table.number(place, "area") + 0.01 * (accuracies[0] - accuracies[1]))
    assert ("measurements.csv", "area") in {(finding.file, finding.column) for finding in verify(bare)}


def test_examples_that_were_published_with_other_columns_are_refused(asked, tmp_path):
    copy = shutil.copytree(asked / "leaderboard", tmp_path / "older")
    pd.read_parquet(copy / "examples.parquet").drop(columns="found_at").to_parquet(copy / "examples.parquet")
    with pytest.raises(UserError, match="has other columns than it should; delete it, and run rbp publish --examples"):
        verify(copy)


def test_outcomes_that_are_published_are_those_of_the_runs(asked):
    published = published_outcomes(asked / "leaderboard")
    stored = stored_outcomes(published, Store(asked / "runs"))
    assert len(published) == len(stored) == 6
    for name, read in stored.items():
        kept = read().sort_values(["strength", "repetition", "index"], kind="stable", ignore_index=True)
        again = published[name]()[list(kept.columns)]
        pd.testing.assert_frame_equal(again, kept, check_dtype=False)
        assert (again.dtypes == kept.dtypes)[["correct", "failed", "l2", "linf"]].all()


FORGED = {
    "failed": 1,
    "mean_queries": 12.5,
    "median_l2": 0.125,
    "median_linf": 0.125,
    "median_squared_l2_per_pixel": 0.125,
    "flags": "converged",
    "device": "abacus",
    "torch": "9.9",
    "version": "9.9",
}


def test_runs_give_every_measurement_again(asked, bare):
    table = Table(bare / "measurements.csv")
    place = table.where(attack="walk", seed=1)[2]
    table.write([place], **FORGED)
    found = [one for one in verify(bare, Store(asked / "runs")) if "but the images give" in one.fault]
    assert {(one.file, one.row, one.column) for one in found} >= {
        ("measurements.csv", place + 1, column) for column in FORGED
    }
    assert {one.column for one in verify(bare)} >= {"queries", "version"}


def test_an_attack_without_strengths_is_derived_again(tmp_path, finished_jobs):
    (tmp_path / "attacks/suites").mkdir(parents=True)
    (tmp_path / "models/tasks").mkdir(parents=True)
    (tmp_path / "models/tasks/tiny.toml").write_text(LEARNT)
    (tmp_path / "attacks/far.toml").write_text(WALK.replace("strengths = { tiny = [0.0, 0.8, 2.4] }\n", ""))
    (tmp_path / "attacks/suites/far.toml").write_text('version = 1\nsummary = "One"\nattacks = ["far"]\n')
    run(suite="far", recipes="unregularized", on="tiny", seeds=1, workspace=tmp_path, executor="inline", device="cpu")
    rbp("publish", "--workspace", tmp_path)
    folder, store = tmp_path / "leaderboard", Store(tmp_path / "runs")
    assert told(folder, store) == []
    table = Table(folder / "measurements.csv")
    assert list(table.rows["strength"]) == [""]
    table.write([0], mean_queries=12.5)
    (found,) = [one for one in verify(folder, store) if one.column == "mean_queries"]
    assert (found.row, "but the images give" in found.fault) == (1, True)

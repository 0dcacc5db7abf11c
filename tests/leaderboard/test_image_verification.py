"""Queries and the worst case: derived again from the outcomes of images, and held against the counts without them."""

import shutil

import pandas as pd
import pytest

from robustbench_pix import run
from robustbench_pix.attacks.checkpoints import CHECKPOINTS
from robustbench_pix.errors import UserError
from robustbench_pix.leaderboard.published.examples import published_outcomes
from robustbench_pix.leaderboard.published.image_verification import not_derived
from robustbench_pix.leaderboard.published.publishing import (
    publish,
    published_board,
    read_costs,
    read_provenance,
    read_queries,
)
from robustbench_pix.leaderboard.published.verification import verify
from robustbench_pix.results.checks.outcomes import MODEL, stored_outcomes
from robustbench_pix.results.checks.query_facts import contradicting_queries
from robustbench_pix.results.checks.worst_case_facts import _bounds, contradicting_worst_cases
from robustbench_pix.results.columns import QUERIES, WORST_CASE, names
from robustbench_pix.results.merging import asked_rows
from robustbench_pix.results.statistics.aggregation import build_leaderboard
from robustbench_pix.runs.store import Store
from tests.leaderboard.conftest import LEARNT, Table, rbp

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
def asked(tmp_path_factory):
    """Give a workspace with what was published of a decision attack, a score attack and noise."""
    root = tmp_path_factory.mktemp("asked")
    files = {"walk": WALK, "squares": SQUARES}
    files["suites/three"] = 'version = 1\nsummary = "Three"\nattacks = ["walk", "squares", "gaussian"]\n'
    (root / "attacks/suites").mkdir(parents=True)
    (root / "models/tasks").mkdir(parents=True)
    for name, text in files.items():
        (root / f"attacks/{name}.toml").write_text(text)
    (root / "models/tasks/tiny.toml").write_text(LEARNT.replace("width = 2", "width = 8"))
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
    sentence = "not derived again: 2 of 2 attacks in queries.csv and 2 of 2 worst cases. That takes"
    assert sentence in not_derived(bare, None)
    said = rbp("verify", bare)
    assert said.exit_code == 0
    assert f"the files agree with each other.\nOnly compared with the counts, and {sentence}" in said.output
    said = rbp("verify", bare, "--runs", asked, "--sample", 1, "--device", "cpu")
    assert said.exit_code == 0
    assert "not derived" not in said.output


def test_attacks_of_which_some_outcomes_are_gone_are_said_to_be_not_derived(asked, bare, tmp_path):
    runs = shutil.copytree(asked / "runs", tmp_path / "some")
    measured = published_board(bare)[0]
    gone = measured.loc[(measured["attack"] == "walk") & (measured["seed"] == 1), "attack_id"].iloc[0]
    shutil.rmtree(runs / f"attack-{gone}")
    assert "again: 1 of 2 attacks in queries.csv and 1 of 2 worst cases." in not_derived(bare, Store(runs))
    assert told(bare, Store(runs)) == []


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
    assert {"median_high", "restricted_mean", "success_at_300", "distance_at_300"} < {column for _, column in expected}
    found = [finding for finding in verify(folder, store) if "but the images give" in finding.fault]
    assert {(one.row, one.column) for one in found} == expected
    assert {one.file for one in found} == {"queries.csv"}


def forged_rate(table):
    """Move one success of the score attack before a checkpoint, as the counts allow it; return its place."""
    for place in table.where(attack="squares"):
        image = 1 / table.number(place, "n")
        rates = [table.number(place, f"success_at_{count}") for count in (100, 200, 300)]
        if rates[0] + image <= rates[1] and not rates[0] < 0.5 <= rates[0] + image:
            table.write([place], success_at_100=rates[0] + image)
            return place
    raise AssertionError("no row leaves room")


def test_a_forgery_that_the_counts_allow_is_seen_in_the_outcomes_only(sources, bare):
    for folder, store, seen in ((bare, None, False), (*sources, True)):
        place = forged_rate(Table(folder / "queries.csv"))
        expected = [("queries.csv", place + 1, "success_at_100")] if seen else []
        assert [(one.file, one.row, one.column) for one in verify(folder, store)] == expected


SQUARES_FIRST = {"attack": "squares", "strength": "0.05"}
SQUARES_LAST = {"attack": "squares", "strength": "0.2"}
WALK_LAST = {"attack": "walk", "strength": "2.4"}


@pytest.mark.parametrize(
    ("row", "column", "value", "words"),
    [
        (WALK_LAST, "found", lambda old: "", "walk has nothing, but the measurements give"),
        (WALK_LAST, "n", lambda old: old + 1, "but the measurements give"),
        (WALK_LAST, "found", lambda old: old - 1, "but the measurements give"),
        (WALK_LAST, "seeds", lambda old: 7, "walk has 7, but the measurements give 2"),
        (WALK_LAST, "limit", lambda old: 499, "walk has 499, but the measurements give 500"),
        (WALK_LAST, "strength_kind", lambda old: "linf", "walk has linf, but the measurements give l2"),
        (WALK_LAST, "strength", lambda old: 2.5, "no measurement leads to a row of walk"),
        (SQUARES_LAST, "task", lambda old: "mnist", "no measurement leads to a row of squares"),
        (SQUARES_LAST, "success_at_500", lambda old: old - 1 / 40, "is no share of"),
        (SQUARES_LAST, "success_at_300", lambda old: 0.0, "rates of squares fall with more queries"),
        (SQUARES_FIRST, "success_at_500", lambda old: 1.0, "is above"),
        (SQUARES_LAST, "success_at_1000", lambda old: 0.5, "a rate up to its limit, and none beyond it"),
        (SQUARES_LAST, "success_at_10", lambda old: "", "a rate up to its limit, and none beyond it"),
        (SQUARES_LAST, "median_queries", lambda old: 499.5, "do not pass one half there"),
        (SQUARES_LAST, "median_queries", lambda old: 0.5, "do not pass one half there"),
        (SQUARES_LAST, "median_queries", lambda old: "", "do not pass one half there"),
        (SQUARES_LAST, "median_low", lambda old: 600, "the median is not within its interval"),
        (SQUARES_LAST, "restricted_mean", lambda old: old * 0.6, "do not allow that mean"),
        (SQUARES_LAST, "restricted_mean", lambda old: "", "do not allow that mean"),
        (WALK_LAST, "distance_at_200", lambda old: 99, "distances of walk rise with more queries"),
        (WALK_LAST, "distance_at_50", lambda old: old * 0.999, "are others than at its first strength"),
    ],
)
def test_a_forged_field_of_queries_contradicts_the_counts(bare, row, column, value, words):
    table = Table(bare / "queries.csv")
    (place,) = table.where(**row)
    old = table.rows.loc[place, column]
    new = value(float(old) if old.replace(".", "").isdigit() else old)
    table.write([place], **{column: new if isinstance(new, str) else f"{new:.10g}"})
    found = contradicting_queries(read_queries(bare), published_board(bare)[0], read_provenance(bare))
    assert any(f"queries.csv, row {place + 1}, " in str(one) and words in str(one) for one in found), found


def test_a_restricted_mean_may_reach_the_steps_that_fall_last_and_no_more(bare):
    table = Table(bare / "queries.csv")
    (place,) = table.where(**SQUARES_LAST)
    ends = [count for count in CHECKPOINTS if count <= 500]
    left = [1.0, *(1 - table.number(place, f"success_at_{count}") for count in ends)]
    most = sum(share * (end - start) for share, start, end in zip(left, [0, *ends], ends, strict=False))
    for factor, allowed in ((0.9999, True), (1.0001, False)):
        table.write([place], restricted_mean=most * factor)
        found = contradicting_queries(read_queries(bare), published_board(bare)[0], read_provenance(bare))
        assert [one.column for one in found] == ([] if allowed else ["restricted_mean"])


def test_rates_that_stay_below_what_was_found_at_the_limit_are_seen(bare):
    table = Table(bare / "queries.csv")
    (place,) = table.where(**SQUARES_LAST)
    step = 1 / table.number(place, "n")
    rates = {f"success_at_{count}": table.number(place, f"success_at_{count}") for count in (200, 300, 500)}
    table.write([place], **{name: min(rate, rates["success_at_500"] - step) for name, rate in rates.items()})
    assert "at its limit squares has not found" in " ".join(told(bare))


def test_a_median_between_the_last_checkpoint_and_the_limit_needs_one_half_to_be_found(bare):
    table = Table(bare / "queries.csv")
    (place,) = table.where(**SQUARES_FIRST)
    assert table.rows.loc[place, "median_queries"] == ""
    measurements, without_budgets = published_board(bare)[0], {"attacks": {}}
    mean = table.number(place, "restricted_mean") + 20 * (1 - table.number(place, "success_at_500"))
    table.write([place], limit=520, restricted_mean=mean)
    assert contradicting_queries(read_queries(bare), measurements, without_budgets) == []
    table.write([place], median_queries=510)
    (found,) = contradicting_queries(read_queries(bare), measurements, without_budgets)
    assert found.column == "median_queries"


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
    rows, board = published_board(folder)
    tables = {"measurements": rows, "leaderboard": build_leaderboard(rows, asked_rows(board, rows))}
    publish(
        folder, **tables, costs=read_costs(folder), queries=read_queries(folder), provenance=read_provenance(folder)
    )
    return last


def test_a_better_worst_case_in_every_table_is_seen_in_the_outcomes(sources, bare):
    for folder, store, seen in ((bare, None, False), (*sources, True)):
        last = raised_worst_case(folder)
        found = [finding for finding in verify(folder, store) if "but the images give" in finding.fault]
        wrong = [(one.file, one.row, one.column) for one in found]
        expected = [("measurements.csv", last + 1, name) for name in ("correct", "accuracy", "area", "success_rate")]
        assert wrong == (expected if seen else [])


WORST = {"attack": WORST_CASE, "seed": "1"}


@pytest.mark.parametrize(
    ("share", "values", "words"),
    [
        ("1", {"correct": "60"}, "are more than an attack alone leaves of unregularized, tiny:tiny, seed 1"),
        ("0.25", {"correct": "0"}, "are fewer than all attacks together can leave of unregularized"),
        ("0", {"n": "29"}, "29 is not what the attacks on unregularized, tiny:tiny, seed 1 give: 30"),
        ("0", {"access": "none"}, "give: scores"),
        ("0", {"attack_id": "0123456789abcdef"}, "0123456789abcdef is not what the attacks"),
        ("0", {"attack_hash": "0123456789abcdef"}, "0123456789abcdef is not what the attacks"),
        ("0", {"device": "cuda"}, "cuda is not what the attacks"),
        ("0.5", {"strength": "0.6"}, "is not there at every share"),
        ("0.5", {"attack": "walk"}, "is not there at every share"),
    ],
)
def test_a_forged_field_of_a_worst_case_contradicts_the_attacks(bare, share, values, words):
    table = Table(bare / "measurements.csv")
    table.write(table.where(**WORST, strength=share), **values)
    found = contradicting_worst_cases(published_board(bare)[0], read_provenance(bare))
    assert any(words in str(one) for one in found), found


def test_a_share_between_two_strengths_allows_what_is_left_below_it_and_lost_above_it():
    """Of ten images one attack takes three at strength 1, the other one at 1 and two at 2."""
    told = [("a", 0, 0.0), ("a", 1, 0.3), ("b", 0, 0.0), ("b", 1, 0.1), ("b", 2, 0.2)]
    cells = pd.DataFrame(told, columns=["attack", "strength", "success_rate"]).assign(**dict.fromkeys(MODEL, "x"))
    bounds = _bounds(cells.assign(correct=10 - (cells["success_rate"] * 10).round(), repetitions=1))
    assert bounds["strength"].tolist() == [0, 0.25, 0.5, 0.75, 1]
    assert bounds["most"].tolist() == [10, 10, 9, 9, 7]
    assert bounds["lost"].tolist() == [0, 3 + 1, 3 + 1, 3 + 2, 3 + 2]


def test_the_area_of_a_worst_case_is_the_one_under_its_accuracies(bare):
    table = Table(bare / "measurements.csv")
    (place,) = table.where(**WORST, strength="0.5")
    accuracies = [table.number(table.where(**WORST, strength=share)[0], "accuracy") for share in ("0.25", "0.5")]
    assert accuracies[0] > accuracies[1]
    table.write([place], area=table.number(place, "area") + 0.01 * (accuracies[0] - accuracies[1]))
    assert ("measurements.csv", "area") in {(finding.file, finding.column) for finding in verify(bare)}


def test_a_worst_case_that_is_gone_or_that_no_two_attacks_lead_to(bare):
    table = Table(bare / "measurements.csv")
    rows = table.rows
    table.rows = rows.drop(table.where(**WORST))
    table.write()
    assert "the worst case of unregularized, tiny:tiny, seed 1 is not there at every share" in " ".join(told(bare))
    table.rows = rows.drop(
        sorted({*table.rows.index} & {*rows.index[(rows["attack"] == "walk") & (rows["seed"] == "1")]})
    )
    table.write()
    assert "unregularized, tiny:tiny, seed 1 did not face two attacks or more of its suite" in " ".join(told(bare))


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
    assert not [one for one in verify(bare) if one.column in ("mean_queries", "median_linf")]


def test_an_attack_without_strengths_is_derived_again(tmp_path):
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

import json

import pandas as pd
import pytest

from robustbench_pix.errors import UserError
from robustbench_pix.leaderboard.published.publishing import publish, published_board, read_costs, read_queries
from robustbench_pix.leaderboard.published.verification import verify
from robustbench_pix.results.merging import asked_rows
from robustbench_pix.results.statistics.aggregation import build_leaderboard
from tests.leaderboard.conftest import Table, rbp

LAST = {"recipe": "thresholded", "seed": 1, "attack": "gaussian", "strength": "0.4"}
MIDDLE = {**LAST, "strength": "0.2"}
BOUNDARY = {"recipe": "thresholded", "seed": 1, "attack": "boundary", "strength": "2"}


@pytest.fixture
def measured(copy):
    return Table(copy / "measurements.csv")


@pytest.fixture
def board(copy):
    return Table(copy / "leaderboard.csv")


def told(folder):
    return [str(finding) for finding in verify(folder)]


def only(folder, start, column):
    """Return what is found at a file, which must be in this column among others."""
    found = [finding for finding in verify(folder) if finding.file == start]
    assert column in {finding.column for finding in found}, found
    return " ".join(map(str, found))


def test_what_was_run_and_published_is_in_order(made):
    assert told(made / "leaderboard") == []
    said = rbp("verify", made / "leaderboard")
    assert said.exit_code == 0
    assert said.output.endswith("leaderboard: the files agree with each other.\n")


def test_a_folder_that_holds_nothing_is_refused(tmp_path):
    with pytest.raises(UserError, match=r"Nothing is published in .*: it holds no measurements\.csv"):
        verify(tmp_path)


def test_findings_name_file_row_and_column_and_the_exit_code_is_1(copy, measured):
    place = measured.where(**LAST)[0]
    measured.write([place], correct=f"{int(measured.number(place, 'correct')) + 1}")
    said = rbp("verify", copy)
    assert said.exit_code == 1
    assert f"measurements.csv, row {place + 1}, accuracy: " in said.output
    assert all(line.endswith(".") for line in said.output.splitlines())


@pytest.mark.parametrize("cell", [LAST, MIDDLE, BOUNDARY])
def test_a_better_accuracy_contradicts_the_share_lost_and_the_area(copy, measured, cell):
    place = measured.where(**cell)[0]
    correct, n = measured.number(place, "correct") + (1 if cell is BOUNDARY else 2), measured.number(place, "n")
    measured.write([place], correct=f"{correct:.0f}", accuracy=correct / n)
    assert "is not the share lost" in only(copy, "measurements.csv", "success_rate")
    clean = measured.number(measured.where(**{**cell, "strength": "0"})[0], "correct")
    measured.write([place], success_rate=1 - correct / clean)
    last = ("measurements.csv", "area") if cell is not BOUNDARY else ("examples.parquet", "correct")
    found = only(copy, *last)
    assert "success_rate" not in found


def consistent_forgery(measured):
    """Raise one recipe's last accuracy with everything in measurements.csv that follows from it."""
    for seed in (0, 1):
        place, before = (measured.where(**{**cell, "seed": seed})[0] for cell in (LAST, MIDDLE))
        correct, n = measured.number(place, "correct") + 3, measured.number(place, "n")
        clean = measured.number(measured.where(**{**LAST, "seed": seed, "strength": "0"})[0], "correct")
        area = measured.number(before, "area") + 0.2 * (correct / n + measured.number(before, "accuracy")) / 2
        facts = {"accuracy": correct / n, "success_rate": 1 - correct / clean, "area": area}
        measured.write([place], correct=f"{correct:.0f}", **facts)


def test_measurements_forged_with_all_that_follows_contradict_the_leaderboard(copy, measured):
    consistent_forgery(measured)
    (copy / "examples.parquet").unlink()
    findings = verify(copy)
    assert {finding.file for finding in findings} == {"leaderboard.csv", "robustness.csv", "comparisons.csv"}
    assert {"score", "gain", "robustness_gaussian", "retained_gaussian"} <= {finding.column for finding in findings}
    assert any("but the measurements give" in str(finding) for finding in findings)


def test_a_forgery_of_every_table_is_caught_by_the_outcomes_of_images_and_by_attacking_again(made, copy, measured):
    consistent_forgery(measured)
    rows, leaderboard = published_board(copy)
    leaderboard = build_leaderboard(rows, asked_rows(leaderboard, rows))
    publish(copy, measurements=rows, leaderboard=leaderboard, costs=read_costs(copy), queries=read_queries(copy))
    findings = verify(copy)
    assert {(finding.file, finding.column) for finding in findings} == {("examples.parquet", "correct")}
    assert len(findings) == 2
    (copy / "examples.parquet").unlink()
    assert told(copy) == []
    said = rbp("verify", copy, "--runs", made, "--sample", 100, "--device", "cpu")
    assert said.exit_code == 1
    wrong = [line for line in said.output.splitlines() if "differs" in line]
    assert [line.partition(", seed")[0] for line in wrong] == ["gaussian on thresholded, tiny:tiny"] * 2
    assert all("differs by 3 of 60 images at a strength; 1 tolerated" in line for line in wrong)
    assert said.output.endswith("13 of 15 attacks made again agree with what is published.\n")


def test_attacks_made_again_agree_exactly(made):
    said = rbp("verify", made / "leaderboard", "--runs", made, "--sample", 4, "--device", "cpu")
    assert said.exit_code == 0
    assert said.output.count(": exactly as published\n") == 4
    assert "4 of 4 attacks made again" in said.output


def test_runs_that_do_not_belong_to_the_folder_are_refused(made, tmp_path):
    said = rbp("verify", made / "leaderboard", "--runs", tmp_path)
    assert said.exit_code == 1
    assert "None of the attacks published in" in said.output


@pytest.mark.parametrize(
    ("cell", "values", "column", "words"),
    [
        (LAST, {"correct": "99"}, "correct", "99 of 60 images cannot be correct"),
        (LAST, {"failed": "61"}, "failed", "61 of 60 cannot have failed"),
        (LAST, {"failed": "-1"}, "failed", "is below 0"),
        (LAST, {"repetitions": "7"}, "n", "no multiple of 7"),
        (LAST, {"n": "120"}, "n", "is another than above"),
        (LAST, {"median_linf": "9"}, "median_linf", "which no norm can be"),
        (LAST, {"median_l2": "inf"}, "median_l2", "no finite number"),
        (LAST, {"accuracy": ""}, "correct", "must be there together"),
        (LAST, {"area": "0.1"}, "area", "is not the area under the accuracies up to strength 0.4"),
        ({**LAST, "strength": "0"}, {"area": "0.1"}, "area", "up to strength 0"),
        (BOUNDARY, {"area": "3"}, "area", "up to strength 2"),
        (LAST, {"strength": "0.2"}, "strength", "does not ascend"),
        (LAST, {"strength": "0.5"}, "strength", "other strengths here than above"),
        ({**LAST, "strength": "0"}, {"strength": "0.1"}, "strength", "does not begin at strength 0"),
        (LAST, {"protocol": "lenient"}, "protocol", "none of strict, paper"),
        (LAST, {"model_id": "0123"}, "model_id", "does not match"),
        (LAST, {"model_id": "0123456789abcdef"}, "model_id", "is another than above"),
        (LAST, {"recipe": "better"}, "recipe", "better has no row in leaderboard.csv"),
        (LAST, {"attack_id": "0123456789abcdef"}, "attack_id", "is not what provenance.json says was run"),
        (LAST, {"gradients": "sound"}, "gradients", "is another than above"),
        (LAST, {"n": ""}, "n", "where a number must be"),
    ],
)
def test_a_single_forged_field_is_found(copy, measured, cell, values, column, words):
    measured.write(measured.where(**cell)[:1], **values)
    assert words in only(copy, "measurements.csv", column)


def test_the_clean_accuracy_of_a_model_is_the_same_in_all_its_attacks(copy, measured):
    curve = measured.where(recipe="thresholded", seed=1, attack="gaussian")
    shift = 2 / measured.number(curve[0], "n")
    for place in curve:
        correct = measured.number(place, "correct") + 2
        measured.write([place], correct=f"{correct:.0f}", accuracy=correct / measured.number(place, "n"))
        measured.write([place], area=measured.number(place, "area") + shift * measured.number(place, "strength"))
    assert "contradict another attack on the same images" in only(copy, "measurements.csv", "correct")


def test_fewer_images_are_a_part_of_more_images(copy, measured):
    curve = measured.where(recipe="unregularized", seed=1, attack="boundary")
    right, n = (measured.number(curve[0], name) for name in ("correct", "n"))
    whole = measured.where(**{**LAST, "recipe": "unregularized", "strength": "0"})[0]
    wrong = measured.number(whole, "n") - measured.number(whole, "correct")
    assert n - right <= wrong < n
    measured.write(curve[:1], correct=f"{n - wrong - 1:.0f}", accuracy=(n - wrong - 1) / n)
    assert "contradict another attack on the same images" in only(copy, "measurements.csv", "correct")


def test_rows_that_stand_there_twice_or_are_gone(copy, measured):
    rows = measured.rows
    place = measured.where(**LAST)[0]
    measured.rows = pd.concat([rows.loc[:place], rows.loc[place:]], ignore_index=True)
    measured.write()
    assert "stands there twice at this strength" in " ".join(told(copy))
    measured.rows = rows.drop(place)
    measured.write()
    found = " ".join(told(copy))
    assert "gaussian has other strengths here than above" in found
    measured.rows = rows.drop(measured.where(recipe="thresholded"))
    measured.write()
    assert "leaderboard.csv, row" in " ".join(told(copy))


@pytest.mark.parametrize(
    "column",
    ["clean_accuracy", "clean_low", "clean_high", "score", "score_low", "score_high", "gain", "gain_low", "gain_high",
     "robustness_gaussian", "robustness_transfer-fgsm", "robustness_boundary", "retained_gaussian"],
)  # fmt: skip
def test_every_number_of_the_leaderboard_is_derived_again(copy, board, column):
    place = board.where(recipe="thresholded")[0]
    board.write([place], **{column: board.number(place, column) * (1 + 1e-6)})
    assert column in only(copy, "leaderboard.csv", column)
    assert len(verify(copy)) == 1


@pytest.mark.parametrize(
    ("recipe", "values", "column"),
    [
        ("thresholded", {"rank": "2"}, "rank"),
        ("thresholded", {"p_value": "0.01"}, "p_value"),
        ("thresholded", {"seeds": "7"}, "seeds"),
        ("thresholded", {"seed_list": "0", "seeds": "1"}, "seed_list"),
        ("thresholded", {"status": "incomplete"}, "status"),
        ("thresholded", {"note": ""}, "note"),
        ("thresholded", {"interval": "certain"}, "interval"),
        ("thresholded", {"gradients": "sound"}, "gradients"),
        ("neural", {"score": "0.9"}, "score"),
        ("net", {"gain": "0.5"}, "gain"),
    ],
)
def test_every_word_of_the_leaderboard_is_derived_again(copy, board, recipe, values, column):
    board.write(board.where(recipe=recipe), **values)
    only(copy, "leaderboard.csv", column)


DERIVED = {"comparisons.csv": "difference", "robustness.csv": "robustness", "recipe-costs.csv": "training_seconds"}


@pytest.mark.parametrize(("file", "column"), DERIVED.items())
def test_what_follows_from_the_measurements_is_derived_again(copy, file, column):
    table = Table(copy / file)
    place = table.where(recipe="thresholded")[0]
    table.write([place], **{column: table.number(place, column) + 0.01})
    only(copy, file, column)


@pytest.mark.parametrize("file", DERIVED)
def test_no_table_may_be_left_out(copy, file):
    (copy / file).unlink()
    assert [str(finding) for finding in verify(copy)] == [f"{file}: there is none; rbp publish writes it."]


def test_a_bad_row_cannot_be_hidden(copy, board):
    rows = board.rows
    board.rows = rows[rows["recipe"] != "thresholded"]
    board.write()
    assert "thresholded has no row in leaderboard.csv" in only(copy, "measurements.csv", "recipe")
    board.rows = rows
    board.write(board.where(recipe="thresholded"), status="not run")
    assert "says that it was not run" in only(copy, "measurements.csv", "recipe")
    board.rows = pd.concat([rows, rows[rows["recipe"] == "thresholded"].assign(recipe="new")])
    board.write()
    assert "new" in only(copy, "leaderboard.csv", "score")


def test_provenance_is_what_the_hashes_say(copy):
    file = copy / "provenance.json"
    true = json.loads(file.read_text())

    def forged(change):
        found = json.loads(json.dumps(true))
        change(found)
        file.write_text(json.dumps(found))
        return " ".join(told(copy))

    gaussian = next(name for name, entry in true["attacks"].items() if entry["attack"] == "gaussian-noise")
    task, suite = next(iter(true["tasks"])), next(iter(true["suites"]))
    found = forged(lambda new: new["attacks"][gaussian]["strengths"].__setitem__(2, 0.3))
    assert f"provenance.json, attacks: what stands under {gaussian} has the hash" in found
    assert f"provenance.json, suites: what stands under {suite}" in found
    assert "attack_id: " in found
    found = forged(lambda new: new["tasks"][task]["task"].update(dataset="0123456789abcdef"))
    assert f"provenance.json, tasks: what stands under {task}" in found
    assert "model_id: " in found
    found = forged(lambda new: new["rows"][0]["attacks"]["gaussian"][0].update(test_images=61))
    assert "attack_id: " in found
    assert "model_id: " not in found
    found = forged(lambda new: new["rows"].pop())
    assert "provenance.json does not say how" in found
    assert forged(lambda new: None) == ""
    file.unlink()
    assert told(copy) == ["provenance.json: there is none; rbp publish writes it."]

import json
from dataclasses import replace

import pandas as pd
import pytest

from robustbench_pix.data.base import load_dataset
from robustbench_pix.errors import UserError
from robustbench_pix.leaderboard.publishing import publish
from robustbench_pix.results.board import published_board
from robustbench_pix.results.columns import SAMPLING, typed
from tests.leaderboard.conftest import Table, rbp, verify
from tests.workspaces import tiny_workspace

LAST = {"recipe": "thresholded", "seed": 1, "attack": "gaussian", "strength": "0.4"}
MIDDLE = {**LAST, "strength": "0.2"}
BOUNDARY = {"recipe": "unregularized", "seed": 0, "attack": "boundary", "strength": "2"}

CONSTANT = """
import torch
from torch import nn


class Constant(nn.Module):
    def forward(self, images):
        return nn.functional.one_hot(torch.full((len(images),), {answer}), 10).float() + 0 * images.sum()
"""


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
    agreed, *unconfirmed = said.output.splitlines()
    assert agreed.endswith("leaderboard: the files agree with each other.")
    assert all(line.startswith("Nothing here confirms ") for line in unconfirmed)
    assert any("costs.csv (all of source models" in line for line in unconfirmed)
    assert any("provenance.json (what made a row (versions, commit" in line for line in unconfirmed)
    assert not any("median distances" in line for line in unconfirmed)  # examples.parquet gives them


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


@pytest.mark.parametrize(
    "cell",
    [LAST, MIDDLE, BOUNDARY],
)
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
    assert {finding.file for finding in findings} == {"leaderboard.csv", "aucs.csv", "comparisons.csv"}
    assert {"mean_auc", "gain", "auc_gaussian", "relative_auc_gaussian"} <= {finding.column for finding in findings}
    assert any("but the measurements give" in str(finding) for finding in findings)


def test_a_forgery_of_every_table_is_caught_by_the_outcomes_of_images_and_by_attacking_again(made, copy, measured):
    consistent_forgery(measured)
    publish(copy, replace(published_board(copy), sampling=typed(pd.DataFrame(), SAMPLING)))
    findings = verify(copy)
    assert {(finding.file, finding.column) for finding in findings} == {
        ("examples.parquet", "correct"),
        ("sampling.csv", ""),  # it was not written again
    }
    assert len(findings) == 3
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
        (LAST, {"recipe": "better"}, "recipe", "better has no row in requested.csv"),
        (LAST, {"attack_id": "0123456789abcdef"}, "attack_id", "is not what provenance.json says was run"),
        (LAST, {"gradients": "sound"}, "gradients", "is another than above"),
        (LAST, {"n": ""}, "n", "where a number must be"),
        (LAST, {"chance": "0.5"}, "chance", "is another than above"),
        (BOUNDARY, {"distance_inflation": "9"}, "distance_inflation", "is another than above"),
    ],
)
def test_a_single_forged_field_is_found(copy, measured, cell, values, column, words):
    (copy / "examples.parquet").unlink()
    measured.write(measured.where(**cell)[:1], **values)
    assert words in only(copy, "measurements.csv", column)


def test_a_recipe_that_stands_in_the_leaderboard_twice(copy):
    board = copy / "leaderboard.csv"
    lines = board.read_text().splitlines(keepends=True)
    board.write_text("".join([*lines, lines[-1]]))
    assert f"leaderboard.csv, row {len(lines)}, recipe: {lines[-1].split(',')[9]} stands there twice." in told(copy)


def test_rows_that_stand_there_twice_or_are_gone(copy, measured):
    (copy / "examples.parquet").unlink()
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


NUMBERS = [
    "clean_accuracy", "clean_accuracy_low", "clean_accuracy_high",
    "mean_auc", "mean_auc_low", "mean_auc_high", "gain", "gain_low", "gain_high",
    "auc_gaussian", "auc_transfer-fgsm", "auc_boundary", "relative_auc_gaussian",
]  # fmt: skip


def test_every_number_of_the_leaderboard_is_derived_again(copy, board):
    place = board.where(recipe="thresholded")[0]
    board.write([place], **{column: board.number(place, column) * (1 + 1e-6) for column in NUMBERS})
    found = verify(copy)
    assert {(finding.file, finding.row, finding.column) for finding in found} == {
        ("leaderboard.csv", place + 1, column) for column in NUMBERS
    }
    assert len(found) == len(NUMBERS)


@pytest.mark.parametrize(
    ("recipe", "values"),
    [
        ("thresholded", {"rank": "2", "p_value": "0.01", "note": "", "interval": "certain", "gradients": "sound"}),
        ("thresholded", {"seeds": "7"}),
        ("thresholded", {"seed_list": "0", "seeds": "1"}),
        ("thresholded", {"status": "incomplete"}),
        ("neural", {"mean_auc": "0.9"}),
        ("net", {"gain": "0.5"}),
    ],
)
def test_every_word_of_the_leaderboard_is_derived_again(copy, board, recipe, values):
    (copy / "examples.parquet").unlink()
    board.write(board.where(recipe=recipe), **values)
    assert set(values) <= {finding.column for finding in verify(copy) if finding.file == "leaderboard.csv"}


DERIVED = {"comparisons.csv": "difference", "aucs.csv": "auc", "recipe-costs.csv": "training_seconds"}


def test_what_follows_from_the_measurements_is_derived_again(copy):
    for file, column in DERIVED.items():
        table = Table(copy / file)
        place = table.where(recipe="thresholded")[0]
        table.write([place], **{column: table.number(place, column) + 0.01})
    assert {(finding.file, finding.column) for finding in verify(copy)} == set(DERIVED.items())


def test_no_table_may_be_left_out(copy):
    for absent in (["sampling.csv"], list(DERIVED)):
        for file in absent:
            (copy / file).unlink()
        found = [finding for finding in verify(copy) if finding.file in absent]
        assert sorted(map(str, found)) == sorted(f"{file}: there is none; rbp publish writes it." for file in absent)


def test_a_bad_row_cannot_be_hidden(copy, board):
    (copy / "examples.parquet").unlink()
    rows = board.rows
    board.rows = rows[rows["recipe"] != "thresholded"]
    board.write()
    assert "thresholded is missing" in only(copy, "leaderboard.csv", "")
    board.rows = rows
    board.write(board.where(recipe="thresholded"), status="not run")
    assert "'not run', but the measurements give 'complete'" in only(copy, "leaderboard.csv", "status")
    requested = Table(copy / "requested.csv")
    requested.write(requested.where(recipe="thresholded"), status="not run")
    assert "requested.csv says it was not run" in only(copy, "measurements.csv", "recipe")
    requested.write(requested.where(recipe="thresholded"), status="")
    board.rows = pd.concat([rows, rows[rows["recipe"] == "thresholded"].assign(recipe="new")])
    board.write()
    assert "the measurements lead to no row of new" in only(copy, "leaderboard.csv", "recipe")


def test_a_requested_attack_that_nobody_measured_is_named_and_no_traceback(copy):
    requested = Table(copy / "requested.csv")
    place = requested.where(recipe="thresholded")
    requested.write(place, attacks=requested.rows.loc[place[0], "attacks"].replace("gaussian", "gaussiam"))
    found = " ".join(told(copy))
    assert "requested.csv does not ask for gaussian with seed 0" in found
    assert "missing: gaussiam" in found


def test_a_measured_seed_that_was_not_requested_is_named(copy):
    requested = Table(copy / "requested.csv")
    requested.write(requested.where(recipe="thresholded"), seed_list="0")
    assert "requested.csv does not ask for boundary with seed 1" in " ".join(told(copy))


def test_strengths_that_the_outcomes_do_not_have_are_named_and_no_traceback(copy):
    file = copy / "provenance.json"
    forged = json.loads(file.read_text())
    gaussian = next(entry for entry in forged["attacks"].values() if entry["attack"] == "gaussian-noise")
    gaussian["strengths"][2] = 0.3
    file.write_text(json.dumps(forged))
    found = told(copy)
    assert "examples.parquet, strength: gaussian on thresholded, seed 1: " in " ".join(found)
    assert any("provenance.json, attacks: what stands under" in one for one in found)


def test_provenance_is_what_the_hashes_say(copy):
    (copy / "examples.parquet").unlink()
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


def test_a_model_that_gets_no_attacked_image_right_is_no_contradiction(tmp_path, monkeypatch):
    labels = load_dataset("digits", None, root=tmp_path, colour="gray").test_labels
    absent = min(set(range(10)) - set(labels[:8].tolist()))  # the boundary attack has eight images
    tiny_workspace(tmp_path)
    (tmp_path / "net.py").write_text(CONSTANT.format(answer=absent))
    monkeypatch.chdir(tmp_path)
    given = ("--model", "net.py:Constant", "--task", "tiny", "--suite", "tiny", "--executor", "inline")
    assert rbp("evaluate", *given, "--device", "cpu").exit_code == 0
    assert rbp("publish").exit_code == 0
    assert set(Table(tmp_path / "leaderboard/queries.csv").rows["n"]) == {"0"}
    assert told(tmp_path / "leaderboard") == []
    measured = Table(tmp_path / "leaderboard/measurements.csv")
    measured.write(measured.where(attack="gaussian")[:1], n="0", correct="0", accuracy="0")
    assert "0 images cannot have been judged" in only(tmp_path / "leaderboard", "measurements.csv", "n")

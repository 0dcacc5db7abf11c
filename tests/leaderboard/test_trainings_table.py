"""trainings.csv: published from logs, held against them by ``rbp verify --runs``, and absent without harm."""

import shutil

import numpy as np
import pandas as pd
import pytest

from robustbench_pix.results.columns import MODEL
from robustbench_pix.results.published.reading import read_beside, read_published
from robustbench_pix.runs.store import Store
from tests.leaderboard.conftest import Table, rbp, verify


@pytest.fixture
def trainings(copy):
    return Table(copy / "trainings.csv")


def told(copy, store=None):
    return [str(one) for one in verify(copy, store) if one.file == "trainings.csv"]


def test_every_trained_model_has_a_row_of_its_log(made):
    table = read_beside(made / "leaderboard", "trainings.csv")
    measured, _ = read_published(made / "leaderboard")
    models = measured.loc[measured["recipe"] != "net", [*MODEL, "model_id"]].drop_duplicates()
    assert len(table) == len(models) > 3
    assert set(table["model_id"]) == set(models["model_id"])
    for row in table.to_dict("records"):
        log = pd.read_csv(made / f"runs/train-{row['model_id']}/log.csv")
        best = log.loc[log["validation_loss"].idxmin(), "epoch"]
        assert (row["epochs"], row["best_epoch"]) == (len(log), best)
        weights = [log[name].iloc[-1] for name in log if name.startswith("layer_weight")]
        assert (row["collapsed_on"] == "") == (not weights)
        if weights:
            assert row["layer_weight"] == pytest.approx(max(weights), rel=1e-9)
            assert row["last_penalty"] == pytest.approx(log["penalty"].iloc[-1], rel=1e-9)
        else:
            assert np.isnan(row["last_penalty"])


def test_what_is_published_agrees_with_the_runs(made, copy):
    store = Store(made / "runs")
    assert told(copy) == told(copy, store) == []


def test_forged_facts_are_found_with_the_runs(made, copy, trainings):
    store = Store(made / "runs")
    place = trainings.where(recipe="thresholded")[:1]
    trainings.write(place, last_penalty=0.125)
    assert told(copy) == []
    assert any("last_penalty" in one and "has 0.125, but the logs give" in one for one in told(copy, store))
    trainings.rows = trainings.rows.drop(index=place)
    trainings.write()
    assert any("is missing" in one for one in told(copy, store))
    (copy / "trainings.csv").unlink()
    assert told(copy, store) == ["trainings.csv: there is none; rbp publish writes it."]


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"best_epoch": "99"}, "99 is after the last of"),
        ({"model_id": "0" * 16}, "is not what measurements.csv says of thresholded, seed 0"),
        ({"collapsed_on": "none", "layer_weight": "0.9"}, "none is not of the weight"),
        ({"still_falls": "penalty", "penalty_fall": "0.01"}, "a fall by 0.01 is none of the penalty"),
        ({"still_falls": "everything"}, "'everything' is none of"),
    ],
)
def test_what_cannot_be_true_is_found_without_the_runs(copy, trainings, values, words):
    trainings.write(trainings.where(recipe="thresholded", seed=0), **values)
    assert any(words in one for one in told(copy)), told(copy)


def test_a_forged_convergence_contradicts_the_note_of_the_leaderboard(copy, trainings):
    falls = {"still_falls": "validation loss", "validation_loss_fall": "0.5"}
    trainings.write(trainings.where(recipe="unregularized"), **falls)
    found = [str(one) for one in verify(copy) if one.file == "leaderboard.csv"]
    assert any("training: not converged in" in one for one in found), found


def test_runs_show_the_facts_of_their_training(made):
    table = read_beside(made / "leaderboard", "trainings.csv").set_index("recipe")
    run = f"train-{table.loc['thresholded', 'model_id'].iloc[0]}"
    shown = rbp("show", run, "--workspace", made, "--format", "csv").output
    assert f"training,best_epoch,{table.loc['thresholded', 'best_epoch'].iloc[0]}" in shown
    assert "training,collapsed_on," in shown


def test_without_a_log_there_is_a_board_all_the_same(made, tmp_path):
    folder = shutil.copytree(made, tmp_path / "workspace")
    for log in (folder / "runs").glob("train-*/log.csv"):
        log.write_text(log.read_text() + " ")
    shutil.rmtree(folder / "leaderboard")
    assert rbp("publish", "--workspace", folder).exit_code == 0
    assert not (folder / "leaderboard/trainings.csv").exists()
    assert "thresholded" in rbp("leaderboard", "--workspace", folder).output

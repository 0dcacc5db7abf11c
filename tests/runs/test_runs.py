"""Whole runs in a tiny workspace: content addresses, fairness, resuming, what fails and what goes on."""

import json

import numpy as np
import pandas as pd
import pytest
import torch
from safetensors.torch import load_file

import robustbench_pix as rbp
from tests.finished_jobs import kept
from tests.workspaces import LEARNT, tiny_workspace

RECIPES = ("unregularized", "pixel", "thresholded", "shuffled", "decorrelated", "statistics")


def run(workspace, **changes):
    arguments = {"suite": "tiny", "on": ["tiny"], "recipes": RECIPES, "seeds": 2, "executor": "inline", **changes}
    return rbp.run(workspace=workspace, device="cpu", **arguments)


@pytest.fixture(scope="module")
def finished(tmp_path_factory, finished_jobs_folder):
    workspace = tiny_workspace(tmp_path_factory.mktemp("workspace"))
    with kept(finished_jobs_folder):
        return workspace, run(workspace)


def folders(workspace, kind):
    return {path.name: json.loads((path / "spec.json").read_text()) for path in (workspace / "runs").glob(f"{kind}-*")}


def test_every_cell_is_measured(finished):
    _, measurements = finished
    counts = measurements.groupby(["recipe", "seed", "attack"]).size()
    worst = counts.index.get_level_values("attack") == "worst-case"
    assert (len(counts[~worst]), len(counts[worst])) == (len(RECIPES) * 2 * 3, len(RECIPES) * 2)
    assert (counts == 3 + 2 * worst).all()
    exact = measurements["correct"].astype(float) / measurements["n"].astype(float)
    assert measurements["accuracy"].tolist() == [float(f"{share:.10g}") for share in exact], "ten significant digits"


def test_nothing_is_done_twice(finished):
    workspace, measurements = finished
    before = {path: path.stat().st_mtime_ns for path in (workspace / "runs").glob("*-*/*")}
    again = run(workspace)
    assert {path: path.stat().st_mtime_ns for path in (workspace / "runs").glob("*-*/*")} == before
    pd.testing.assert_frame_equal(again, measurements)


def test_without_progress_nothing_is_said(finished, capfd):
    workspace, _ = finished
    run(workspace)
    assert capfd.readouterr() == ("", "Nothing to do: all 61 jobs were finished before.\n")
    run(workspace, progress=False)
    assert capfd.readouterr() == ("", "")


def test_unregularized_models_belong_to_the_task(finished):
    workspace, _ = finished
    trained = len(folders(workspace, "train"))
    combined = run(workspace, recipes=["unregularized"], on=["tiny", "tiny:digits"])
    assert len(folders(workspace, "train")) == trained
    ids = combined.groupby("seed")["model_id"].nunique()
    assert (ids == 1).all()
    assert set(combined["regularization_data"]) == {"tiny", "digits"}


def test_with_alpha_0_every_recipe_is_unregularized_to_the_bit(finished, tmp_path):
    """Every recipe that is a penalty and nothing else; others keep their network, their batches or their loss."""
    from robustbench_pix.catalogue.registries import regularizers
    from robustbench_pix.catalogue.workspace import Workspace
    from robustbench_pix.recipes.contract import remains_without_penalty

    trained, _ = finished
    workspace = tiny_workspace(tmp_path)
    catalogue = Workspace(workspace)
    used = {name: catalogue.recipe(name).regularizer for name in catalogue.names("models")}
    recipes = [name for name, of in used.items() if of and not remains_without_penalty(regularizers.load(of))]
    assert {"pixel", "thresholded", "neural", "shuffled", "decorrelated", "statistics"} <= set(recipes)
    assert {"input-gradient", "parseval", "rep-spectral", "spectral", "spectral-norm"} <= set(recipes)
    for name in recipes:
        parameters = catalogue.recipe(name).parameters | {"alpha": 0.0}
        stated = "\n".join(f"{key} = {json.dumps(value)}" for key, value in parameters.items())
        text = f'summary = "No weight"\nregularizer = "{used[name]}"\n[parameters]\n{stated}\n'
        (workspace / f"models/no-{name}.toml").write_text(text)
    measurements = run(workspace, recipes=[f"no-{name}" for name in recipes], seeds="1,")
    assert set(measurements["recipe"]) == {f"no-{name}" for name in recipes}
    assert measurements["model_id"].nunique() == 1
    name = f"train-{measurements['model_id'].iloc[0]}/weights.safetensors"
    assert (workspace / "runs" / name).read_bytes() == (trained / "runs" / name).read_bytes()


def test_the_papers_protocol_reports_a_distance_that_enters_no_score(tmp_path):
    from robustbench_pix.catalogue.workspace import Workspace
    from robustbench_pix.results.from_runs import board_of
    from robustbench_pix.runs.plan_store import saved_rows
    from robustbench_pix.runs.store import Store

    workspace = tiny_workspace(tmp_path)
    (workspace / "models/tasks/tiny.toml").write_text(LEARNT)
    short = (workspace / "attacks/boundary.toml").read_text()
    short = short.replace("[strengths]\ntiny = [0.0, 1.0, 2.0]\n", "")
    short = short.replace("images = 8", "images = 8\nrepetitions = 2")
    (workspace / "attacks/short.toml").write_text(short)
    suite = 'version = 1\nprotocol = "paper"\nsummary = "Paper"\nattacks = ["gaussian", "transfer-fgsm", "short"]\n'
    (workspace / "attacks/suites/paper.toml").write_text(suite)
    measurements = run(workspace, suite="paper", recipes=["unregularized"], seeds="0,")
    distance = measurements[measurements["attack"] == "short"]
    assert len(distance) == 1
    assert distance[["strength", "accuracy", "area"]].isna().all(axis=None)
    examples = pd.read_parquet(workspace / "runs" / f"attack-{distance['attack_id'].iloc[0]}" / "examples.parquet")
    assert len(examples) == 16
    assert (examples["l2"] > 0).all()
    found = examples[np.isfinite(examples["l2"])]
    by_hand = np.mean([np.median(part["l2"].astype(float) ** 2 / 64) for _, part in found.groupby("repetition")])
    assert distance["median_squared_l2_per_pixel"].iloc[0] == pytest.approx(by_hand)
    store = Store(Workspace(workspace).runs)
    row = board_of(saved_rows(store), store).leaderboard.iloc[0]
    assert row["mean_auc"] == pytest.approx((row["auc_gaussian"] + row["auc_transfer-fgsm"]) / 2)
    assert row["distance_short"] == pytest.approx(by_hand)


def test_recipes_differ_and_seeds_differ(finished):
    workspace, _ = finished
    trained = folders(workspace, "train")
    assert {spec["context"]["recipe"] for spec in trained.values()} == {*RECIPES, "source model"}
    states = set()
    for name in trained:
        state = load_file(workspace / "runs" / name / "weights.safetensors")
        states.add(tuple(value for key in sorted(state) for value in state[key].flatten().tolist()))
    assert len(states) == len(trained)


def test_identities_hold_no_place_and_no_device(finished):
    workspace, _ = finished
    for kind in ("train", "attack"):
        for spec in folders(workspace, kind).values():
            text = json.dumps(spec["identity"])
            assert str(workspace) not in text
            assert "cpu" not in text
            assert "summary" not in text


def test_every_recipe_gets_the_same_noise_and_the_same_images(finished):
    workspace, _ = finished
    examples = {}
    for name, spec in folders(workspace, "attack").items():
        if spec["identity"]["attack"]["attack"] == "gaussian-noise":
            frame = pd.read_parquet(workspace / "runs" / name / "examples.parquet")
            examples[name] = frame.set_index(["index", "strength"])["l2"]
    assert len(examples) >= len(RECIPES) * 2
    first = next(iter(examples.values()))
    assert all(first.equals(other) for other in examples.values())


def test_a_loaded_model_gives_the_published_clean_accuracy(finished):
    from robustbench_pix.data.digits import digits

    workspace, measurements = finished
    row = measurements[(measurements["strength"] == 0) & (measurements["attack"] == "gaussian")].iloc[3]
    network = rbp.load_model(workspace / "runs" / f"train-{row['model_id']}")
    data = digits(workspace, colour="gray")
    with torch.no_grad():
        predicted = network(data.test_images[:60].float() / 255).argmax(1)
    assert int((predicted == data.test_labels[:60]).sum()) == row["correct"]


def test_load_model_refuses_what_is_no_model(tmp_path):
    with pytest.raises(rbp.UserError, match="no folder of a trained model"):
        rbp.load_model(tmp_path)


def test_a_damaged_run_is_named_and_made_again(finished, capsys):
    workspace, measurements = finished
    name = f"train-{measurements['model_id'].iloc[0]}"
    weights = workspace / "runs" / name / "weights.safetensors"
    original = weights.read_bytes()
    weights.write_bytes(original[:-1] + b"x")
    again = run(workspace)
    assert f"{name} is damaged (weights.safetensors has changed)" in capsys.readouterr().err
    assert weights.read_bytes() == original
    pd.testing.assert_frame_equal(again, measurements)


def test_the_digits_of_another_machine_do_not_matter(finished, tmp_path):
    """The same request in a fresh workspace gives the same numbers and the same names."""
    _, measurements = finished
    fresh = run(tiny_workspace(tmp_path), recipes=["thresholded"], seeds="1,")
    same = measurements[(measurements["recipe"] == "thresholded") & (measurements["seed"] == 1)]
    pd.testing.assert_frame_equal(fresh, same.reset_index(drop=True), check_dtype=False)


def test_models_trained_side_by_side_are_the_same_files(finished, tmp_path, monkeypatch):
    """As on a GPU: all trainings in one worker, taking turns; one of them fails and the others do not mind."""
    workspace, _ = finished
    beside = tiny_workspace(tmp_path)
    monkeypatch.setattr("robustbench_pix.runs.runner.trainings_together", lambda device: 20)
    monkeypatch.setattr("robustbench_pix.training.side_by_side._has_room", lambda running, device: len(running) < 9)
    (beside / "models/bad.toml").write_text('summary = "x"\nregularizer = "bad.py:bad"\nparameters = { alpha = 1 }\n')
    (beside / "models/bad.py").write_text("def bad(step):\n    return 1 / 0\n")
    (beside / "attacks/suites/noise.toml").write_text('version = 1\nsummary = "x"\nattacks = ["gaussian"]\n')
    run(beside, recipes=[*RECIPES, "bad"], suite="noise")
    mine, theirs = folders(beside, "train"), folders(workspace, "train")
    assert mine.keys() <= theirs.keys()
    assert len(mine) == len(RECIPES) * 2
    for name in mine:
        files = [folder / "runs" / name / "weights.safetensors" for folder in (beside, workspace)]
        assert files[0].read_bytes() == files[1].read_bytes()
    assert folders(beside, "attack").keys() <= folders(workspace, "attack").keys()


def test_batches_do_not_change_our_own_attacks(finished, tmp_path, monkeypatch):
    _, measurements = finished
    monkeypatch.setattr("robustbench_pix.evaluation.evaluate.judge_batch", lambda *arguments: 7)
    fresh = run(tiny_workspace(tmp_path), recipes=["pixel"], seeds="0,")
    mine = fresh[fresh["attack"] != "boundary"]
    same = measurements[(measurements["recipe"] == "pixel") & (measurements["seed"] == 0)]
    same = same[same["attack"] != "boundary"]
    assert mine["correct"].tolist() == same["correct"].tolist()
    np.testing.assert_allclose(mine["median_l2"], same["median_l2"], rtol=1e-6)


def test_robustness_of_the_boundary_attack_is_exact(finished):
    workspace, measurements = finished
    row = measurements[(measurements["attack"] == "boundary") & (measurements["strength"] == 2.0)].iloc[0]
    examples = pd.read_parquet(workspace / "runs" / f"attack-{row['attack_id']}" / "examples.parquet")
    wrong = examples["clean_prediction"] != examples["label"]
    distance = np.where(wrong, 0.0, examples["l2"])
    assert row["area"] == pytest.approx(np.minimum(distance, 2.0).mean())
    assert row["correct"] == int((~wrong & (examples["l2"] > 2.0)).sum())
    assert row["n"] == 8


def test_the_source_seed_is_refused(tmp_path):
    with pytest.raises(rbp.UserError, match="belongs to the source models"):
        run(tiny_workspace(tmp_path), seeds="1000000,")

"""Recipes of other slots through whole runs: planned, trained, attacked, loaded again."""

import json
import shutil

import numpy as np
import pandas as pd
import pytest
import torch
from click.testing import CliRunner
from PIL import Image

import robustbench_pix as rbp
from robustbench_pix.cli import main
from robustbench_pix.runs.store import Store
from tests.workspaces import LEARNT, tiny_workspace

OWN = """
import torch
import robustbench_pix as rbp
from robustbench_pix.cli import main


class Halved(torch.nn.Module):
    def __init__(self, network, by):
        super().__init__()
        self.network, self.by = network, by

    def features(self, images):
        return self.network.features(images * self.by)

    def forward(self, images):
        return self.network(images * self.by)


class Own(rbp.Recipe):
    def __init__(self, context, *, by=0.5):
        super().__init__(context)

    @classmethod
    def network(cls, network, *, channels, classes, by=0.5):
        return Halved(network, by)


class OwnPenalty(rbp.Recipe):
    def penalty(self, step):
        return step.weights["linear.weight"].square().sum()
"""


@pytest.fixture
def folder(tmp_path):
    folder = tiny_workspace(tmp_path / "here")
    (folder / "attacks/suites/noise.toml").write_text('version = 1\nsummary = "x"\nattacks = ["gaussian"]\n')
    (folder / "models/own.py").write_text(OWN)
    (folder / "models/own.toml").write_text('summary = "x"\nrecipe = "own.py:Own"\nparameters = { by = 0.25 }\n')
    (folder / "models/weights.toml").write_text('summary = "x"\nregularizer = "own.py:OwnPenalty"\n')
    return folder


def few_pictures(root):
    """Write 45 pictures as the data set ``natural``, and return the folder of the data sets."""
    (root / "natural").mkdir(parents=True)
    for number, values in enumerate(np.random.default_rng(0).integers(0, 256, (45, 9, 16, 3), dtype=np.uint8)):
        Image.fromarray(values).save(root / "natural" / f"{number:02}.png")
    return root


def run(folder, *recipes, **changes):
    arguments = {"suite": "noise", "on": ["tiny"], "seeds": "1", "executor": "inline", "device": "cpu", **changes}
    return rbp.run(recipes=list(recipes), workspace=folder, **arguments)


def trainings(folder):
    """Return the identities of the trainings of a workspace by recipe."""
    found = {}
    for spec in (folder / "runs").glob("train-*/spec.json"):
        recorded = json.loads(spec.read_text())
        found.setdefault(recorded["context"]["recipe"], []).append((spec.parent, recorded["identity"]))
    return found


def test_recipes_of_every_slot_train_and_are_attacked(folder):
    (folder / "models/tasks/tiny.toml").write_text(LEARNT)
    table = run(folder, "unregularized", "blur", "noise-trained", "spectral", "own", "weights")
    assert table["recipe"].nunique() == 6
    assert table.groupby("recipe")["accuracy"].mean().nunique() > 3


def test_a_row_says_on_which_attacks_its_recipe_was_trained(folder, monkeypatch):
    run(folder, "unregularized", "noise-trained", "adversarial", suite="tiny")
    monkeypatch.setenv("COLUMNS", "100")
    shown = " ".join(CliRunner().invoke(main, ["leaderboard", "--workspace", str(folder)]).output.split())
    assert "noise-trained - gaussian: trained on this attack" in shown
    assert "adversarial - transfer-fgsm: trained on this attack" in shown
    CliRunner().invoke(main, ["publish", "--workspace", str(folder)])
    notes = pd.read_csv(folder / "leaderboard/leaderboard.csv", keep_default_na=False).set_index("recipe")["note"]
    assert notes["noise-trained"].split("; ")[0] == "gaussian: trained on this attack"
    assert "trained on" not in notes["unregularized"]
    assert "trained on this attack" in (folder / "leaderboard/index.html").read_text()


def test_what_uses_no_regularization_data_is_trained_once_for_all(folder):
    run(folder, "blur", "thresholded", on=["tiny", "tiny:natural"], data_root=few_pictures(folder / "data"))
    found = trainings(folder)
    assert len(found["blur"]) == 1
    assert len(found["thresholded"]) == 2
    assert "images" not in found["blur"][0][1]["regularization"]


def test_a_network_of_a_recipe_is_built_again_where_its_code_lies_now(folder, tmp_path):
    run(folder, "own", "blur")
    images = torch.rand(3, 1, 8, 8)
    logits = rbp.load_model(trainings(folder)["own"][0][0])(images)
    moved = tmp_path / "there"
    shutil.move(folder, moved)
    assert torch.equal(rbp.load_model(trainings(moved)["own"][0][0])(images), logits)
    assert torch.isfinite(rbp.load_model(trainings(moved)["blur"][0][0])(images)).all()
    (moved / "models/own.py").write_text(OWN.replace("images * self.by", "images * self.by + 0.1"))
    with pytest.raises(rbp.UserError, match="has changed"):
        rbp.load_model(trainings(moved)["own"][0][0])


def test_alpha_0_of_a_penalty_alone_is_the_unregularized_network(folder):
    (folder / "models/nothing.toml").write_text(
        'summary = "x"\nrecipe = "input-gradient"\nparameters = { alpha = 0 }\n'
    )
    (folder / "models/still.toml").write_text(
        'summary = "x"\nrecipe = "blur"\nparameters = { alpha = 0, sigma = 0.75 }\n'
    )
    run(folder, "unregularized", "nothing", "still")
    found = [identity["regularization"] for every in trainings(folder).values() for _, identity in every]
    assert sorted(identity["regularizer"] if identity else "" for identity in found) == ["", "blur"]


def test_a_recipe_that_exists_keeps_its_identity_and_takes_either_key(folder):
    run(folder, "thresholded")
    before = {path.name for path in (folder / "runs").glob("*-*")}
    text = (folder / "models/thresholded.toml").read_text()
    (folder / "models/thresholded.toml").write_text(text.replace("regularizer =", "recipe ="))
    run(folder, "thresholded")
    assert {path.name for path in (folder / "runs").glob("*-*")} == before
    assert Store(folder / "runs").damage(sorted(before)[0]) is None

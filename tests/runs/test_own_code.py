"""A user's own data set, network, regularizer and attack, by file and by decorator, and pictures of another size."""

import json
import sys

import numpy as np
import pytest
from PIL import Image

import robustbench_pix as rbp
from robustbench_pix.catalogue.registries import regularizers
from robustbench_pix.runs import runner
from tests.workspaces import tiny_workspace

CODE = '''
import numpy as np
import torch
from torch import nn

import robustbench_pix as rbp


def stripes(root, *, colour):
    """Two classes: bright left half, bright right half."""
    generator = np.random.default_rng(0)
    labels = torch.from_numpy(generator.integers(0, 2, 160))
    images = torch.from_numpy(generator.integers(0, 60, (160, 1, 6, 6), dtype=np.uint8))
    for image, label in zip(images, labels):
        image[:, :, :3] += 150 * (label == 0).to(torch.uint8)
        image[:, :, 3:] += 150 * (label == 1).to(torch.uint8)
    return rbp.ImageData(images[:120], labels[:120], test_images=images[120:], test_labels=labels[120:], classes=2)


class Net(nn.Module):
    def __init__(self, *, channels, classes, width=4):
        super().__init__()
        self.first = nn.Conv2d(channels, width, 3, padding=1)
        self.last = nn.Linear(width * 36, classes)

    def features(self, images):
        return [self.first(images).relu()]

    def forward(self, images):
        return self.last(self.features(images)[0].flatten(1))


class Bilinear(rbp.Regularizer):
    """Trains a weight of its own and draws from a few pairs only."""

    def __init__(self, setting, *, strength=1.0):
        super().__init__(setting)
        self.strength = strength
        self.weight = nn.Parameter(torch.ones(()))

    def allowed(self):
        return torch.arange(5)

    def forward(self, step):
        assert step.ranks.max() < 5
        return self.strength * (self.weight * (step.first[0] - step.second[0]).mean()).square()

    def report(self):
        return {"own_weight": float(self.weight.detach())}


def darken(target, images, labels, strengths, keys, *, floor=0.0):
    for strength in strengths:
        yield (images - strength).clamp(floor, 1)
'''

TASK = """\
summary = "Stripes"
dataset = "own.py:stripes"
network = "own.py:Net"
network_parameters = { width = 3 }
training = { epochs = 3, batch_size = 32, learning_rate = 0.05, validation_fraction = 0.1 }
"""

RECIPE = """\
summary = "Bilinear"
regularizer = "own.py:Bilinear"
parameters = { alpha = 0.1, strength = 2.0 }
"""

ATTACK = """\
summary = "Darker"
attack = "own.py:darken"
access = "none"
strength = "brightness"
strengths = { default = [0.0, 0.3, 0.9] }
"""


def test_everything_of_ones_own_by_file(tmp_path):
    files = {
        "models/own.py": CODE,
        "models/tasks/own.py": CODE,
        "attacks/own.py": CODE,
        "models/tasks/stripes.toml": TASK,
        "models/bilinear.toml": RECIPE,
        "attacks/darken.toml": ATTACK,
        "attacks/suites/dark.toml": 'version = 1\nsummary = "Dark"\nattacks = ["darken"]\n',
    }
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    arguments = {"suite": "dark", "on": ["stripes"], "seeds": 1, "executor": "inline", "device": "cpu"}
    measurements = rbp.run(workspace=tmp_path, recipes=["unregularized", "bilinear"], **arguments)
    clean = measurements[measurements["strength"] == 0]
    assert (clean["accuracy"] > 0.9).all()
    assert set(measurements["strength_kind"]) == {"brightness"}
    logs = [path.read_text() for path in (tmp_path / "runs").glob("train-*/log.csv")]
    assert sum("own_weight" in log for log in logs) == 1
    network = rbp.load_model(tmp_path / "runs" / f"train-{clean['model_id'].iloc[1]}")
    assert network.first.out_channels == 3

    changed = CODE.replace("self.weight = nn.Parameter(torch.ones(()))", "self.weight = nn.Parameter(torch.zeros(()))")
    (tmp_path / "models/own.py").write_text(changed)
    again = rbp.run(workspace=tmp_path, recipes=["unregularized", "bilinear"], **arguments)
    both = [frame.groupby("recipe")["model_id"].first() for frame in (measurements, again)]
    assert both[0]["unregularized"] == both[1]["unregularized"]
    assert both[0]["bilinear"] != both[1]["bilinear"]


def test_by_decorator(tmp_path, monkeypatch):
    monkeypatch.setattr(regularizers, "registered", dict(regularizers.registered))

    @rbp.regularizer("mean-square-of-tests")
    def mean_square(step, *, layer=0):
        return step.first[layer].square().mean()

    workspace = tiny_workspace(tmp_path)
    recipe = 'summary = "By decorator"\nregularizer = "mean-square-of-tests"\nparameters = { alpha = 0.1, layer = 1 }\n'
    (workspace / "models/decorated.toml").write_text(recipe)
    measurements = rbp.run(
        suite="tiny", recipes=["decorated"], on=["tiny"], seeds=1, workspace=workspace, executor="inline", device="cpu"
    )
    assert len(measurements) == 9 + 5  # and the worst case


def test_pictures_of_another_size_regularize(tmp_path):
    generator = np.random.default_rng(0)
    (tmp_path / "data/natural").mkdir(parents=True)
    for number in range(6):
        pixels = generator.integers(0, 256, (64, 64, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(tmp_path / f"data/natural/{number}.png")
    measurements = rbp.run(
        suite="tiny",
        recipes=["thresholded"],
        on=["tiny:natural"],
        seeds=1,
        workspace=tiny_workspace(tmp_path),
        data_root=tmp_path / "data",
        executor="inline",
        device="cpu",
    )
    assert set(measurements["regularization_data"]) == {"natural"}


@pytest.mark.parametrize("colour", ["gray", "rgb"])
def test_colour_on_request(tmp_path, colour):
    measurements = rbp.run(
        suite="tiny",
        recipes=["thresholded"],
        on=["tiny"],
        seeds=1,
        colour=colour,
        workspace=tiny_workspace(tmp_path),
        executor="inline",
        device="cpu",
    )
    assert set(measurements["colour"]) == {colour}


@pytest.mark.parametrize(
    "edited", ["models/helper_of_bilinear.py", "models/tasks/stripes_of_tests.py", "attacks/floor.py"]
)
def test_edits_in_helpers_make_other_runs(tmp_path, monkeypatch, edited):
    """Helpers of a regularizer, of a network and of an attack, each imported as the user's code does it."""
    beside = "import sys\nfrom pathlib import Path\nsys.path.insert(0, str(Path(__file__).parent))\n"
    monkeypatch.setattr(sys, "path", list(sys.path))
    files = {
        "models/own.py": CODE.replace("import numpy", f"{beside}from helper_of_bilinear import ONE\nimport numpy"),
        "models/helper_of_bilinear.py": "ONE = 1\n",
        "models/tasks/own.py": CODE.replace("import numpy", f"{beside}from stripes_of_tests import ONE\nimport numpy"),
        "models/tasks/stripes_of_tests.py": "ONE = 1\n",
        "attacks/own.py": CODE.replace("import numpy", f"{beside}from floor import ONE\nimport numpy"),
        "attacks/floor.py": "ONE = 1\n",
        "models/tasks/stripes.toml": TASK,
        "models/bilinear.toml": RECIPE,
        "attacks/darken.toml": ATTACK,
        "attacks/suites/dark.toml": 'version = 1\nsummary = "Dark"\nattacks = ["darken"]\n',
    }
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    arguments = {"suite": "dark", "on": ["stripes"], "seeds": 1, "executor": "inline", "device": "cpu"}
    measured = []
    for text in ("ONE = 1\n", "ONE = 2\n"):
        (tmp_path / edited).write_text(text)
        measured.append(rbp.run(workspace=tmp_path, recipes="bilinear", **arguments))
    ids = [(frame["model_id"].iloc[0], frame["attack_id"].iloc[0]) for frame in measured]
    assert ids[0][1] != ids[1][1]
    assert (ids[0][0] != ids[1][0]) == edited.startswith("models")
    for name in ("helper_of_bilinear", "stripes_of_tests", "floor"):
        sys.modules.pop(name, None)


def test_code_that_is_edited_while_it_is_used_fails_its_job(tmp_path, monkeypatch):
    """Between the plan, which names the code, and the job, which runs it."""
    workspace = tiny_workspace(tmp_path)
    penalty = "def smooth(step):\n    return step.first[0].square().mean()\n"
    (workspace / "models/own.py").write_text(penalty)
    recipe = 'summary = "Own"\nregularizer = "own.py:smooth"\nparameters = { alpha = 0.1 }\n'
    (workspace / "models/own.toml").write_text(recipe)
    saved = runner.save_plan

    def save_and_edit(rows, store):
        saved(rows, store)
        (workspace / "models/own.py").write_text(penalty.replace("square", "abs"))

    monkeypatch.setattr(runner, "save_plan", save_and_edit)
    measured = rbp.run(
        suite="tiny", recipes=["own"], on=["tiny"], seeds=1, workspace=workspace, executor="inline", device="cpu"
    )
    assert measured.empty
    (plan,) = (workspace / "runs/plans").glob("*.json")
    reasons = set(json.loads(plan.read_text())["rows"][0]["failed"].values())
    assert reasons == {
        "The code of the regularizer 'own.py:smooth' was edited while it was used; run the same command again."
    }

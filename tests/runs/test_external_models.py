"""Given models: the numbers of the harness's own, content addresses, and what is asked before anything is attacked."""

import json
import sys
from pathlib import Path

import pandas as pd
import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import nn

import robustbench_pix as rbp
from robustbench_pix.catalogue.registries import networks
from robustbench_pix.catalogue.registry import FILE_MODULE
from robustbench_pix.runs.request import EXTERNAL_SEED
from robustbench_pix.runs.store import Store
from tests.workspaces import tiny_workspace

CODE = """\
import torch
from torch import nn

from layers import Plain
from robustbench_pix.networks.resnet import small

def ours():
    return small(channels=1, classes=10, width=8)

class Views(Plain):
    pass

class Randomized(Plain):
    def forward(self, images):
        return super().forward(images + 0.3 * torch.randn_like(images))

class Together(Plain):
    def forward(self, images):
        return super().forward(images - images.mean(dim=0))

class Narrow(Plain):
    classes = 7

class Nan(Plain):
    def forward(self, images):
        return super().forward(images) / 0

class Pair(Plain):
    def forward(self, images):
        return super().forward(images), images

class Writes(Plain):
    def forward(self, images):
        return super().forward(images.sub_(0.5))

class Trains(Plain):
    def forward(self, images):
        self.train()
        return super().forward(images)

class Coloured(Plain):
    channels = 3

class Dropping(nn.Sequential):
    def __init__(self):
        super().__init__(nn.Flatten(), nn.Dropout(0.5), nn.BatchNorm1d(64), nn.Linear(64, 10))

class Tied(nn.Module):
    def __init__(self):
        super().__init__()
        self.first = nn.Linear(64, 64)
        self.second, self.last = self.first, nn.Linear(64, 10)

    def forward(self, images):
        return self.last(self.second(self.first(images.flatten(1)).relu()))

class Stateful(Plain):
    def get_extra_state(self):
        return "text"

    def set_extra_state(self, state):
        pass

def needs(width):
    pass

def number():
    return 3
"""

LAYERS = """\
from torch import nn

class Plain(nn.Module):
    classes, channels = 10, 1

    def __init__(self):
        super().__init__()
        self.convolution = nn.Conv2d(self.channels, 4, 3, padding=1)
        self.linear = nn.Linear(4 * 64, self.classes)

    def forward(self, images):
        maps = self.convolution(images).relu()
        return self.linear(maps.view(-1, 4 * 64))
"""

ABOUT = ["recipe", "seed", "model_id", "attack_id", "recipe_hash"]
"""Columns in which a given model differs from the same model trained here."""


def forget():
    """Forget what was imported from the workspace, as a new process would."""
    for name in [name for name in sys.modules if name in ("layers", "net") or name.startswith(FILE_MODULE)]:
        del sys.modules[name]


@pytest.fixture
def workspace(tmp_path, monkeypatch):
    tiny_workspace(tmp_path)
    (tmp_path / "net.py").write_text(CODE)
    (tmp_path / "layers.py").write_text(LAYERS)
    (tmp_path / "attacks/suites/noise.toml").write_text('version = 1\nsummary = "x"\nattacks = ["gaussian"]\n')
    monkeypatch.chdir(tmp_path)
    return tmp_path


def evaluate(model, suite="noise", **changes):
    return rbp.evaluate(model, task="tiny", suite=suite, executor="inline", device="cpu", **changes)


def folders(workspace, kind="given"):
    return sorted((workspace / "runs").glob(f"{kind}-*"))


def test_a_trained_network_given_back_has_the_numbers_of_the_trained_row(workspace):
    trained = rbp.run(suite="tiny", on="tiny", recipes="unregularized", seeds="3,", executor="inline", device="cpu")
    weights = workspace / "runs" / f"train-{trained['model_id'].iloc[0]}" / "weights.safetensors"
    torch.save({"state_dict": load_file(weights)}, workspace / "theirs.pt")
    given = evaluate("net.py:ours", suite="tiny", weights="theirs.pt", name="theirs")
    assert set(given["seed"]) == {EXTERNAL_SEED}
    assert len(given) == 9 + 5  # and the worst case
    pd.testing.assert_frame_equal(given.drop(columns=ABOUT), trained.drop(columns=ABOUT))
    assert folders(workspace)[0].joinpath("weights.safetensors").stat().st_size > 0
    same = load_file(folders(workspace)[0] / "weights.safetensors")
    assert all(torch.equal(same[name], value) for name, value in load_file(weights).items())


def test_nothing_is_done_twice_whatever_kind_of_file_the_weights_come_from(workspace, capsys):
    network = _network("ours")
    save_file(network.state_dict(), workspace / "w.safetensors")
    torch.save(network.state_dict(), workspace / "w.pt")
    first = evaluate("net.py:ours", weights="w.safetensors")
    assert Store(workspace / "runs").spec(folders(workspace)[0].name)["context"]["weights"] == "w.safetensors"
    before = {path: path.stat().st_mtime_ns for path in (workspace / "runs").glob("*-*/*")}
    capsys.readouterr()
    again = evaluate("net.py:ours", weights="w.pt", name="another-name")
    assert "Nothing to do" in capsys.readouterr().err
    assert {path: path.stat().st_mtime_ns for path in (workspace / "runs").glob("*-*/*")} == before
    pd.testing.assert_frame_equal(first.drop(columns="recipe"), again.drop(columns="recipe"))


def test_weights_code_and_what_the_code_imports_make_another_model(workspace):
    def found(**options):
        forget()
        return evaluate("net.py:Views", replace=True, **options)["model_id"].iloc[0]

    ids = [found()]
    assert found() == ids[0], "a network that is drawn at random is always drawn the same"
    torch.save(_network("Views", seed=9).state_dict(), workspace / "w.pt")
    ids.append(found(weights="w.pt"))
    for file, old, new in (
        ("net.py", "class Views", "\n\nclass Views"),
        ("layers.py", "return self", "return 2 * self"),
    ):
        path = workspace / file
        path.write_text(path.read_text().replace(old, new))
        ids.append(found())
    assert len(set(ids)) == len(ids) == 4


def test_a_module_in_the_current_folder_and_the_gradients_of_a_network_with_views(workspace):
    for name, access in (("white", "gradients"), ("asked", "scores")):
        text = (workspace / "attacks/gaussian.toml").read_text().replace('"none"', f'"{access}"')
        (workspace / f"attacks/{name}.toml").write_text(text)
    suite = 'version = 1\nsummary = "x"\nattacks = ["gaussian", "white", "asked"]\n'
    (workspace / "attacks/suites/noise.toml").write_text(suite)
    by_module, by_file = evaluate("net:Views", name="m"), evaluate("net.py:Views")
    assert len(by_file) == 9 + 5  # and the worst case
    assert by_module["correct"].tolist() == by_file["correct"].tolist()


def test_the_row_outlives_the_weights_and_a_damaged_folder_is_made_again(workspace, capsys):
    torch.save(_network("Views", seed=5).state_dict(), workspace / "w.pt")
    first = evaluate("net.py:Views", weights="w.pt")
    (folder,) = folders(workspace)
    (workspace / "w.pt").unlink()
    images = torch.rand(3, 1, 8, 8)
    with torch.no_grad():
        expected = _network("Views", seed=5)(images)
        assert torch.equal(rbp.load_model(folder)(images), expected)
    torch.save(_network("Views", seed=5).state_dict(), workspace / "w.pt")
    (folder / "weights.safetensors").write_bytes(b"short")
    again = evaluate("net.py:Views", weights="w.pt")
    assert f"{folder.name} is damaged (weights.safetensors has changed)" in capsys.readouterr().err
    pd.testing.assert_frame_equal(first, again)
    (workspace / "net.py").write_text(CODE.replace("class Views(Plain):\n    pass", "class Views(nn.Identity):\n    1"))
    with pytest.raises(rbp.UserError, match=r"The code of net\.py:Views has changed since"):
        rbp.load_model(folder)


def test_identities_hold_no_place(workspace):
    evaluate("net.py:Views")
    spec = json.loads((folders(workspace)[0] / "spec.json").read_text())
    assert spec["identity"].keys() == {"numerics", "kind", "model", "code", "weights", "answers", "dataset"}
    assert len(spec["identity"]["code"]) == 3
    assert str(workspace) not in json.dumps(spec["identity"])
    assert spec["seconds"] >= 0


@pytest.mark.parametrize(
    ("model", "remark"),
    [
        ("Views", "not paired with trained seeds"),
        ("Dropping", "not paired with trained seeds"),
        ("Tied", "not paired with trained seeds"),
        ("Randomized", "randomized: repeated queries give different outputs"),
        ("Together", "its outputs depend on the other images of a batch"),
    ],
)
def test_what_a_reader_must_know(workspace, model, remark):
    evaluate(f"net.py:{model}")
    (plan,) = (workspace / "runs/plans").glob("*.json")
    (row,) = json.loads(plan.read_text())["rows"]
    weights = json.loads((folders(workspace)[0] / "spec.json").read_text())["identity"]["weights"]
    facts = row["facts"]["remark"].split(", ")
    assert facts[:2] == [f"given: net.py:{model}", f"weights {weights[:8]}"]
    assert facts[-1] == remark
    assert len(facts) == 3 + (remark != "not paired with trained seeds")


@pytest.mark.parametrize(
    ("model", "sentence"),
    [
        ("Narrow", r"returned a tensor of shape \(8, 7\) for 8 images; logits of shape \(8, 10\) are expected\."),
        ("Nan", r"net\.py:Nan returned logits that are not finite\."),
        ("Pair", r"TypeError: it returns a tuple where a tensor of logits is expected\."),
        ("Writes", r"net\.py:Writes writes into its input images; let it work on a copy\."),
        ("Trains", r"net\.py:Trains goes back into training mode when it is called; it is judged in eval mode\."),
        ("Coloured", r"net\.py:Coloured refused images of shape \(8, 1, 8, 8\) in \[0, 1\]: RuntimeError: .*channels"),
        ("needs", r"net\.py:needs could not be called without arguments: TypeError: needs\(\) missing 1 required"),
        ("number", r"net\.py:number must return a torch\.nn\.Module \(got int\)\."),
    ],
)
def test_models_that_cannot_be_attacked_are_refused_at_once(workspace, model, sentence):
    with pytest.raises(rbp.UserError, match=sentence):
        evaluate(f"net.py:{model}")
    assert not (workspace / "runs").exists()


def test_the_global_generators_are_left_alone(workspace):
    torch.manual_seed(3)
    expected = torch.rand(2)
    torch.manual_seed(3)
    evaluate("net.py:Randomized")
    assert torch.equal(torch.rand(2), expected)


def _network(name, seed=0) -> nn.Module:
    with torch.random.fork_rng([]):
        torch.manual_seed(seed)
        sys.path.insert(0, str(Path.cwd()))
        return networks.load(f"net.py:{name}", Path.cwd())().eval()

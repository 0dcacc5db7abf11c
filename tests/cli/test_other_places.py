"""Workspaces that were renamed or copied, and models that bear the name of another one."""

import csv
import io
import json
import shutil

import pandas as pd
import pytest
import torch

from robustbench_pix import evaluate, load_model
from robustbench_pix.errors import UserError
from tests.cli.conftest import SUITE

NET = """\
import torch
from torch import nn


def net():
    return nn.Sequential(nn.Flatten(), nn.Linear(64, 10))


def network(channels, classes):
    return Taps(channels, classes)


class Taps(nn.Module):
    def __init__(self, channels, classes):
        super().__init__()
        self.first, self.last = nn.Linear(channels * 64, 16), nn.Linear(16, classes)

    def features(self, images):
        return [self.first(images.flatten(1)).relu()[:, :, None, None]]

    def forward(self, images):
        return self.last(self.features(images)[0].flatten(1))
"""
GIVEN = ("--model", "net.py:net", "--task", "tiny", "--executor", "inline", "--device", "cpu")


@pytest.fixture
def nets(workspace):
    """Give a workspace with a model of somebody else, weights for it, and a task whose network lies in a file."""
    (workspace / "attacks/suites/far.toml").write_text(SUITE.replace("gaussian", "boundary"))
    (workspace / "net.py").write_text(NET)
    (workspace / "models/tasks/net.py").write_text(NET)
    task = workspace / "models/tasks/tiny.toml"
    text = task.read_text().replace('network = "small"', 'network = "net.py:network"')
    task.write_text(text.replace("[network_parameters]\nwidth = 8\n", ""))
    for seed in (1, 2):
        torch.manual_seed(seed)
        linear = torch.nn.Linear(64, 10)
        torch.save({"1.weight": linear.weight, "1.bias": linear.bias}, workspace / f"w{seed}.pt")
    return workspace


def statuses(said):
    return {(row["suite"], row["recipe"]): row["status"] for row in csv.DictReader(io.StringIO(said.out))}


@pytest.mark.parametrize("old", ["gone", "changed"])
def test_what_a_run_folder_says_of_places_never_beats_the_command(nets, run, rbp, monkeypatch, old):
    assert rbp("evaluate", *GIVEN, "--suite", "noise").code == 0
    assert run().code == 0
    (model,) = (path.name for path in (nets / "runs").glob("given-*"))
    (trained,) = (path.name for path in (nets / "runs").glob("train-*"))
    images = torch.rand(3, 1, 8, 8)
    with torch.no_grad():
        expected = [load_model(nets / "runs" / name)(images) for name in (model, trained)]
    new = nets.with_name(f"{nets.name}-new")
    shutil.copytree(nets, new)
    for file in ("net.py", "models/tasks/net.py"):
        (nets / file).write_text(NET.replace("nn.Linear", "nn.Bilinear"))
    if old == "gone":
        shutil.rmtree(nets)
    monkeypatch.chdir(new)
    with torch.no_grad():
        found = [load_model(new / "runs" / name)(images) for name in (model, trained)]
    assert all(torch.equal(*pair) for pair in zip(found, expected, strict=True))
    assert statuses(rbp("evaluate", *GIVEN, "--suite", "far", "--format", "csv"))["far", "net"] == "complete"
    assert statuses(run("--format", "csv", suite="far"))["far", "unregularized"] == "complete"
    assert rbp("publish").code == 0
    said = rbp("verify", new / "leaderboard", "--runs", new, "--device", "cpu")
    assert (said.code, said.out.count("exactly as published")) == (0, 4)


def test_a_model_is_found_where_the_command_says(nets, rbp):
    assert rbp("evaluate", *GIVEN, "--suite", "noise").code == 0
    (nets / "sub").mkdir()
    (nets / "net.py").rename(nets / "sub/net.py")
    moved = ("--model", "sub/net.py:net", *GIVEN[2:])
    assert statuses(rbp("evaluate", *moved, "--suite", "far", "--format", "csv"))["far", "net"] == "complete"


def test_code_of_a_trained_network_that_changed_is_refused(nets, run):
    run()
    (trained,) = (nets / "runs").glob("train-*")
    (nets / "models/tasks/net.py").write_text(NET.replace("relu()", "tanh()"))
    with pytest.raises(UserError, match=r"The code of net\.py:network has changed since"):
        load_model(trained)


def test_another_model_of_a_name_is_refused_before_anything_is_attacked(nets, rbp):
    first = rbp("evaluate", *GIVEN, "--weights", "w1.pt", "--suite", "noise", "--format", "csv")
    assert first.code == 0
    before = sorted(path.name for path in (nets / "runs").iterdir())
    refusal = rbp("evaluate", *GIVEN, "--weights", "w2.pt", "--suite", "noise").refusal
    assert "The board has another model as net on tiny:tiny under noise (given: net.py:net, weights " in refusal
    assert "give this one another --name, or --replace that one." in refusal
    assert sorted(path.name for path in (nets / "runs").iterdir()) == before
    with pytest.raises(UserError, match="another --name, or --replace that one"):
        evaluate("net.py:net", weights="w2.pt", task="tiny", suite="noise", executor="inline", device="cpu")
    both = rbp("evaluate", *GIVEN, "--weights", "w2.pt", "--suite", "noise", "--name", "other", "--format", "csv")
    assert {recipe for _, recipe in statuses(both)} == {"net", "other"}
    assert rbp("evaluate", *GIVEN, "--weights", "w1.pt", "--suite", "noise").code == 0
    said = rbp("evaluate", *GIVEN, "--weights", "w2.pt", "--suite", "noise", "--replace", "--format", "csv")
    assert said.code == 0
    assert "net on tiny:tiny under noise gives way to another one of its name (" in said.err
    mean_aucs = {row["recipe"]: row["mean_auc"] for row in csv.DictReader(io.StringIO(said.out))}
    assert mean_aucs["net"] == mean_aucs["other"]


def test_a_published_row_is_never_replaced_by_another_model_without_a_word(nets, rbp):
    def publish_model(weights, *more):
        assert rbp("evaluate", *GIVEN, "--weights", weights, "--suite", "noise", "--replace").code == 0
        return rbp("publish", *more)

    assert publish_model("w1.pt").code == 0
    published = (nets / "leaderboard/measurements.csv").read_bytes()
    refusal = publish_model("w2.pt").refusal
    assert "leaderboard holds another net on tiny:tiny under noise (recipe_hash " in refusal
    assert "rbp publish --replace net" in refusal
    assert (nets / "leaderboard/measurements.csv").read_bytes() == published
    assert publish_model("w2.pt", "--replace", "other").code == 1
    assert publish_model("w2.pt", "--replace", "net").code == 0
    assert (nets / "leaderboard/measurements.csv").read_bytes() != published
    assert rbp("verify").code == 0


def test_a_recipe_that_was_edited_leaves_the_board_with_a_sentence(nets, run, rbp):
    text = 'summary = "x"\nregularizer = "mine.py:{}"\nparameters = {{ alpha = 0.1 }}\n'
    code = "".join(f"def {name}(step):\n    return {factor} * step.first[0].square().mean()\n" for name, factor in
                   (("one", 1), ("two", 2)))  # fmt: skip
    (nets / "models/mine.py").write_text(code)
    (nets / "models/mine.toml").write_text(text.format("one"))
    assert "gives way" not in run(recipes=["mine"]).err
    assert rbp("publish").code == 0
    (nets / "models/mine.toml").write_text(text.format("two"))
    said = run(recipes=["mine"])
    assert said.code == 0
    assert "mine on tiny:tiny under noise gives way to another one of its name (" in said.err
    assert "gives way" not in run(recipes=["mine"]).err
    assert "leaderboard holds another mine on tiny:tiny under noise" in rbp("publish").refusal
    (nets / "attacks/suites/noise.toml").write_text(SUITE.replace("gaussian", "boundary"))
    said = run(recipes=["unregularized"])
    assert (
        "mine on tiny:tiny under noise leaves the board, since its task or suite is defined otherwise now" in said.err
    )


def test_a_run_of_another_name_is_called_after_its_row(nets, run, rbp):
    run()
    for plan in (nets / "runs/plans").iterdir():
        plan.unlink()
    (nets / "models/plain.toml").write_text('summary = "x"\n')
    assert "Nothing to do" in run(recipes=["plain"]).err
    assert rbp("publish").code == 0
    costs = pd.read_csv(nets / "leaderboard/costs.csv")
    assert set(costs["what"]) == {"train plain on tiny:tiny, seed 0", "gaussian on plain, tiny:tiny, seed 0"}
    assert rbp("verify").code == 0
    names = [json.loads(path.read_text())["context"]["title"] for path in (nets / "runs").glob("*-*/spec.json")]
    assert "train unregularized on tiny, seed 0" in names

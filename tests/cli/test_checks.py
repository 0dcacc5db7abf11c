"""The check of gradients from the command line: who is checked, what the table says of a model that hides them."""

import csv
import io
import json
import re
from pathlib import Path

import pytest

from robustbench_pix.catalogue.workspace import Workspace
from robustbench_pix.results import from_runs
from robustbench_pix.runs import attack_job
from tests.workspaces import TASK

HIDING = """
import torch
from robustbench_pix.networks.resnet import small


class Quantized(torch.nn.Module):
    def __init__(self, **parameters):
        super().__init__()
        self.seen = small(**parameters)

    def forward(self, images):
        return self.seen((8 * images).round() / 8)

    def features(self, images):
        return self.seen.features((8 * images).round() / 8)
"""


@pytest.fixture
def hiding(workspace):
    (workspace / "models/tasks/hiding.py").write_text(HIDING)
    task = TASK.replace('network = "small"', 'network = "hiding.py:Quantized"').replace("epochs = 2", "epochs = 12")
    (workspace / "models/tasks/hiding.toml").write_text(task)


def rows_of(text):
    return list(csv.DictReader(io.StringIO(text)))


def checks_in(workspace):
    return sorted(path.name for path in (workspace / "runs").glob("check-*"))


def test_only_a_suite_or_a_person_that_wants_it_checks(run, workspace):
    (workspace / "attacks/suites/checked.toml").write_text(
        'version = 1\nsummary = "x"\nattacks = ["gaussian"]\ncheck_gradients = true\n'
    )
    assert run().code == 0
    assert run("--no-check-gradients", suite="checked").code == 0
    assert checks_in(workspace) == []
    said = run(suite="checked")
    assert said.code == 0
    assert "gradient-check on unregularized, tiny, seed 0" in said.err
    (check,) = checks_in(workspace)
    spec = json.loads((workspace / "runs" / check / "spec.json").read_text())
    strengths = Workspace(workspace).attack("pgd-linf").strengths_for("tiny")
    assert spec["identity"]["radii"] == [strengths[3], strengths[-1]]
    assert strengths[3] == 0.018
    assert "Nothing to do" in run("--check-gradients").err, "the same model needs no second check"


def test_a_model_that_hides_its_gradients_is_marked_everywhere(rbp, hiding, workspace):
    said = rbp("run", "--suite", "noise", "--on", "hiding:digits", "--seeds", "1", "--recipe", "unregularized",
               "--check-gradients", "--executor", "inline")  # fmt: skip
    assert said.code == 1, "no gradient on any image fails the check"
    assert "masked" in said.out
    (row,) = rows_of(rbp("leaderboard", "--format", "csv").out)
    assert row["gradients"].startswith("masked in 1 of 1 models: ")
    assert "no gradient on " in row["gradients"]
    assert row["note"].startswith(f"gradients: {row['gradients']}; training: not converged in 1 of 1 models")
    measured = rows_of(rbp("leaderboard", "--measurements", "--format", "csv").out)
    assert {line["gradients"].partition(":")[0] for line in measured} == {"masked"}
    told = {line["field"]: line["value"] for line in json.loads(rbp("show", "unregularized", "--format", "json").out)}
    assert told["verdict"] == "masked"
    assert "TOO MANY" in told["there is no gradient"]
    assert "TOO MANY" not in told["answers change when asked again"]
    (check,) = checks_in(workspace)
    assert "TOO MANY" in rbp("show", check).out


def test_the_verdict_survives_publishing(rbp, run):
    assert run("--check-gradients").code == 0
    assert rbp("publish").code == 0
    for _ in range(2):
        (row,) = rows_of(rbp("leaderboard", "--published", "--format", "csv").out)
        assert row["gradients"].partition(" ")[0] in ("sound", "masked")
        assert rbp("publish").code == 0
    assert "check" in {line["kind"] for line in rows_of(Path("leaderboard/costs.csv").read_text())}
    measured = Path("leaderboard/measurements.csv")
    assert ",sound," in measured.read_text()
    measured.write_text(measured.read_text().replace(",sound,", ",masked: because,"))
    said = rbp("verify", "leaderboard", "--runs", ".", "--device", "cpu").out
    assert "gradients: gaussian has 'masked: because', but the images give 'sound'" in said


def test_each_model_has_the_verdict_on_itself(rbp, run, monkeypatch):
    assert run("--check-gradients", seeds="2").code == 0
    verdicts = iter(["sound", "masked: no gradient on 9 of 60 images"])
    monkeypatch.setattr(from_runs, "verdict", lambda evidence: next(verdicts))
    measured = rows_of(rbp("leaderboard", "--measurements", "--format", "csv").out)
    told = {line["seed"]: line["gradients"] for line in measured}
    assert told == {"0": "sound", "1": "masked: no gradient on 9 of 60 images"}


def test_what_is_planned_counts_checks(rbp):
    said = rbp("run", "--suite", "noise", "--on", "tiny", "--seeds", "2", "--recipe", "unregularized",
               "--check-gradients", "--dry-run", "--format", "json")  # fmt: skip
    (check,) = [row for row in json.loads(said.out) if row["jobs"] == "gradient-check"]
    assert check["count"] == 2
    assert check["seconds"] >= 0


CUT = """
import torch


class Cut(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.seen = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(64, 10))

    def forward(self, images):
        return self.seen((16 * images.detach()).round() / 16)
"""


def evaluated(rbp, workspace, *arguments):
    (workspace / "net.py").write_text(CUT)
    fixed = ("--model", "net.py:Cut", "--task", "tiny", "--executor", "inline", "--device", "cpu")
    return rbp("evaluate", *fixed, *arguments)


def test_a_model_without_a_gradient_is_masked_and_not_unchecked(rbp, workspace):
    said = evaluated(rbp, workspace, "--suite", "noise", "--check-gradients")
    assert said.code == 1
    (row,) = rows_of(rbp("leaderboard", "--format", "csv").out)
    assert re.fullmatch(r"masked in 1 of 1 models: no gradient on (\d+) of \1 images", row["gradients"])
    assert (row["status"], row["note"].endswith(f"gradients: {row['gradients']}")) == ("complete", True)


def test_a_check_that_raises_has_failed_and_is_not_unchecked(rbp, run, every_job_is_done, monkeypatch):
    def broken(*arguments, **named):
        raise ValueError("no such thing")

    monkeypatch.setattr(attack_job, "gather", broken)
    assert run("--check-gradients").code == 1
    (row,) = rows_of(rbp("leaderboard", "--format", "csv").out)
    assert row["gradients"] == "failed in 1 of 1 models: ValueError: no such thing"
    assert "gradients: failed" in row["note"]
    measured = rows_of(rbp("leaderboard", "--measurements", "--format", "csv").out)
    assert {line["gradients"] for line in measured} == {"failed: ValueError: no such thing"}
    assert "failed check" in rbp("leaderboard", "--on", "tiny").out

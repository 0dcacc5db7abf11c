"""``rbp evaluate``: a row of its own in the block of the trained ones, shown, published and kept."""

import csv
import io
import os
import subprocess
import sys
from pathlib import Path

import pytest

CODE = """\
from torch import nn

class Linear(nn.Sequential):
    def __init__(self):
        super().__init__(nn.Flatten(), nn.Linear(64, 10))
"""


@pytest.fixture
def evaluate(workspace, rbp):
    (workspace / "net.py").write_text(CODE)

    def command(*arguments, model="net.py:Linear", task="tiny"):
        common = ("--task", task, "--suite", "noise", "--executor", "inline", "--device", "cpu")
        return rbp("evaluate", "--model", model, *common, *arguments)

    return command


def rows(text):
    return {row["recipe"]: row for row in csv.DictReader(io.StringIO(text))}


def test_it_stands_in_the_block_of_the_trained_recipes(workspace, run, rbp, evaluate):
    run(recipes=["unregularized", "pixel"], seeds="2")
    run("--on", "tiny:digits")
    board = rows(evaluate("--format", "csv").out)
    assert set(board) == {"unregularized", "pixel", "Linear"}
    theirs, ours = board["Linear"], board["pixel"]
    assert {
        name for name in ("network", "regularization_data", "precision", "size", "colour") if theirs[name] != ours[name]
    } == set()
    assert (theirs["rank"], theirs["gain"], theirs["seeds"], theirs["status"]) == ("", "", "1", "complete")
    assert (ours["rank"], ours["gain"] != "") == ("", True)
    assert float(theirs["mean_auc"]) > 0
    assert theirs["note"].startswith("given: net.py:Linear, weights ")
    assert rows(rbp("leaderboard", "--on", "tiny", "--format", "csv").out) == board
    elsewhere = rows(evaluate("--regularization-data", "digits", "--format", "csv").out)
    assert set(elsewhere) == {"unregularized", "Linear"}
    assert "Nothing to do" in evaluate().err


@pytest.mark.parametrize("width", [80, 120])
def test_the_table_says_what_it_is(run, evaluate, monkeypatch, width):
    monkeypatch.setenv("COLUMNS", str(width))
    run(seeds="2")
    text = evaluate("--name", "theirs").out
    assert max(map(len, text.splitlines())) <= width
    lines = [line.split() for line in text.splitlines()]
    assert next(line for line in lines if line[:1] == ["theirs"])
    assert "theirs - given: net.py:Linear, weights " in text
    assert "not paired with trained seeds" in text
    assert "seeds 0, 1" in text
    assert "2000000" not in text


def test_it_is_published_and_stays_when_others_are(workspace, run, rbp, evaluate):
    run()
    evaluate("--name", "theirs")
    assert rbp("publish").code == 0
    first = rows((workspace / "leaderboard/leaderboard.csv").read_text())
    (workspace / "runs").rename(workspace / "elsewhere")
    run(recipes=["unregularized", "pixel"])
    assert rbp("publish").code == 0
    again = rows((workspace / "leaderboard/leaderboard.csv").read_text())
    assert set(again) == {"unregularized", "pixel", "theirs"}
    assert again["theirs"] == first["theirs"]
    costs = list(csv.DictReader((workspace / "leaderboard/costs.csv").open()))
    assert [row["what"] for row in costs if row["kind"] == "given"] == ["keep theirs on tiny"]


def test_its_folder_is_shown_and_cleaned(workspace, rbp, evaluate, run):
    evaluate()
    (folder,) = (workspace / "runs").glob("given-*")
    shown = rbp("show", folder.name, "--format", "csv").out
    assert "run,title,keep Linear on tiny" in shown
    assert "run,identity.kind,given" in shown
    assert run("--dry-run").code == 0
    assert rbp("clean", "--unused", "--dry-run").out == "Nothing to remove.\n"
    for plan in (workspace / "runs/plans").glob("*.json"):
        plan.unlink()
    assert "The plans in runs/plans say which runs are unused" in rbp("clean", "--unused", "--dry-run").refusal


def test_what_fails_is_told_and_exits_with_1(workspace, run, evaluate):
    forward = (
        "\n    def forward(self, images):\n        assert len(images) < 9\n        return super().forward(images)\n"
    )
    (workspace / "net.py").write_text(CODE + forward)
    said = evaluate("--format", "csv")
    assert said.code == 1
    row = rows(said.out)["Linear"]
    assert (row["status"], row["mean_auc"]) == ("failed", "")
    assert row["note"].startswith("given: net.py:Linear, ")
    assert "AssertionError" in row["note"]


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("--name", "pixel"), "There is a recipe named 'pixel'; give the model another --name."),
        (("--name", "all"), "--name 'all' is reserved in the tables; give the model another --name."),
        (("--name=-x",), "--name '-x' must not begin with any of . = + - @; give the model another --name."),
        (("--name", "a b"), "--name 'a b' must be made of letters, digits, dots, hyphens and underscores."),
        (("--weights", "no.pt"), "There is no file no.pt; it is looked for from the current folder."),
        (("--weights", "net.py"), "net.py is no file of weights that can be read without running code; save"),
        (("--regularization-data", "digit"), "There is no regularization data named 'digit'. Did you mean digits?"),
        (("--size", "reduced"), "The task tiny has no size 'reduced'; it has: full."),
        (("--model", "net.py:Linar"), " named 'Linar'. Did you mean Linear?"),
        (("--model", "nets.py:Linear"), "nets.py; it is looked for from the current folder."),
        (
            ("--model", "nets:Linear"),
            "The model 'nets:Linear': No module named 'nets'; install it or correct the name.",
        ),
        (("--model", "Linear"), "--model 'Linear' must be package.module:function or file.py:function."),
        (("--task", "tinny"), "There is no task named 'tinny'. Did you mean tiny?"),
    ],
)
def test_one_sentence(workspace, evaluate, arguments, sentence):
    assert sentence in evaluate(*arguments).refusal
    assert not (workspace / "runs").exists()


def test_processes_of_their_own_find_a_module_of_the_current_folder(workspace):
    (workspace / "net.py").write_text(CODE)
    arguments = ["evaluate", "--model", "net:Linear", "--task", "tiny", "--suite", "noise", "--format", "csv"]
    done = subprocess.run(
        [sys.executable, "-c", "from robustbench_pix.cli import main; main()", *arguments, "--device", "cpu"],
        capture_output=True, text=True, check=False, cwd=workspace,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2]), "PYTHONSAFEPATH": "1"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert rows(done.stdout)["Linear"]["status"] == "complete"


def test_help_does_without_torch():
    code = (
        "import sys; from robustbench_pix.cli import main\n"
        "main(['evaluate', '--help'], standalone_mode=False); assert 'torch' not in sys.modules"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "--weights" in done.stdout

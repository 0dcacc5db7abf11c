"""``rbp init``, ``rbp doctor`` and ``rbp clean``."""

import csv
import io
import json
import os
import socket
import subprocess
import sys
import time

import pytest

from robustbench_pix.cli import doctor
from robustbench_pix.cli.doctor import Check
from robustbench_pix.runs.clients import RUN, at_work
from robustbench_pix.runs.scratch import scratch_name, writer


@pytest.fixture
def dead_process():
    """Give the id of a process that has just ended."""
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid


def scratch(workspace, process, name="train-0123456789abcdef", **changed):
    own = writer(workspace / "runs" / scratch_name(name))._replace(process=str(process), **changed)
    folder = workspace / "runs" / "~".join([f".scratch-{name}", *own, "01234567"])
    folder.mkdir(parents=True)
    (folder / "weights.safetensors").write_bytes(b"half")
    return folder


def names(workspace):
    return {path.name for path in (workspace / "runs").iterdir() if path.name not in ("plans", ".clients")}


def test_what_init_writes_runs(workspace, run, rbp):
    said = rbp("init")
    assert said.code == 0
    assert said.out.splitlines()[-1] == "Next: rbp run --recipe unregularized --recipe ours"
    assert "ours" in rbp("models").out
    done = run("--format", "csv", recipes=["unregularized", "ours"], seeds="2")
    assert done.code == 0
    board = {row["recipe"]: row for row in csv.DictReader(io.StringIO(done.out))}
    assert {row["status"] for row in board.values()} == {"complete"}
    assert board["ours"]["mean_auc"] != board["unregularized"]["mean_auc"]


def test_init_in_another_folder(workspace, rbp):
    said = rbp("init", "my/study")
    assert said.out.splitlines()[-1] == "Next: cd my/study && rbp run --recipe unregularized --recipe ours"
    assert {path.name for path in (workspace / "my/study/models").iterdir()} == {"ours.py", "ours.toml"}
    again = rbp("init", "my/study")
    assert "exists already; nothing was written. Give another folder." in again.refusal


def test_doctor_finds_everything_in_order(rbp):
    said = rbp("doctor", "--format", "json")
    findings = {row["what"]: row for row in json.loads(said.out)}
    assert said.code == 0, said.out
    works = ("torch", "import torch", "import foolbox", "import art", "models", "attacks/suites", "workspace")
    assert all(findings[what]["state"] == "works" for what in works)
    assert findings["data set mnist"]["state"] == findings["data root"]["state"] == "absent"
    assert "tiny" in findings["models/tasks"]["details"]


@pytest.fixture
def libraries_work(monkeypatch):
    """Leave the imports out, which take long."""
    monkeypatch.setattr(doctor, "_torch", lambda: "cpu")
    monkeypatch.setattr(doctor, "_import", lambda *modules: lambda: "imports")


def test_doctor_says_which_recordings_are_there(tmp_path, rbp, libraries_work):
    def told():
        rows = json.loads(rbp("doctor", "--format", "json", "--data-root", tmp_path).out)
        return {row["what"].split()[1]: row for row in rows if row["what"].startswith("recording")}

    absent = told()
    assert {name: row["state"] for name, row in absent.items()} == {"kriegeskorte92": "absent", "v4": "absent"}
    assert "it is images_210325.zip of github.com/cowleygroup/V4_compact_models" in absent["v4"]["details"]
    (tmp_path / "neural").mkdir()
    for name in ("kriegeskorte2008.mat", "cowley_v4_210325_images.zip"):
        (tmp_path / "neural" / name).touch()
    there = told()
    assert there["kriegeskorte92"]["state"] == "works"
    assert there["kriegeskorte92"]["details"] == "neural/kriegeskorte2008.mat below the data root"
    assert there["v4"]["state"] == "absent"
    assert "There is no cowley_v4_210325_counts.npy in" in there["v4"]["details"]


@pytest.mark.parametrize(
    ("file", "text", "what", "words"),
    [
        ("models/broken.toml", "summary = ", "models", "broken.toml is not valid TOML"),
        (
            "models/tasks/tiny.toml",
            'summary = "x"',
            "models/tasks",
            "tiny.toml: dataset: Field required; network: Field",
        ),
        ("attacks/gaussian.toml", "sumary = 1", "attacks", "sumary: there is no such field (did you mean summary?)"),
        (
            "attacks/suites/noise.toml",
            'version = 1\nsummary = "x"\nattacks = ["gausian"]',
            "attacks/suites",
            "There is no attack named 'gausian'. Did you mean gaussian?",
        ),
    ],
)
def test_doctor_names_a_broken_file(workspace, rbp, libraries_work, file, text, what, words):
    (workspace / file).write_text(text)
    said = rbp("doctor", "--format", "json")
    findings = {row["what"]: row for row in json.loads(said.out)}
    assert said.code == 1
    assert [name for name, row in findings.items() if row["state"] == "fails"] == [what]
    assert words in findings[what]["details"]


def test_doctor_tells_of_libraries_data_and_disk(workspace, rbp, monkeypatch, libraries_work):
    def fails():
        raise ImportError("libcuda.so.1: cannot open shared object file")

    monkeypatch.setattr(doctor, "_torch", fails)
    monkeypatch.setattr(doctor, "LIBRARIES", ("torch", "no-such-library"))
    (workspace / "data/MNIST/raw").mkdir(parents=True)
    said = rbp("doctor", "--format", "json", "--workspace", workspace / "nowhere", "--data-root", workspace / "data")
    findings = {row["what"]: Check(**row) for row in json.loads(said.out)}
    assert said.code == 1
    assert findings["import torch"].details == "ImportError: libcuda.so.1: cannot open shared object file"
    assert findings["no-such-library"].details == "not installed; pip install no-such-library"
    assert (findings["data root"].state, findings["data set mnist"].state) == ("works", "works")
    assert findings["data set natural"].details.endswith("put pictures there")
    assert findings["workspace"].state == "fails"


def test_doctor_reads_well(rbp, libraries_work):
    text = rbp("doctor").out
    assert max(map(len, text.splitlines())) <= 80
    assert "…" not in text
    assert all(name in text for name in ("adversarial-robustness-toolbox ", "data set fashionmnist ", "boundary"))


def test_clean_removes_what_is_left_and_what_is_damaged(workspace, run, rbp, dead_process):
    run(seeds="2")
    whole = names(workspace)
    left, busy = scratch(workspace, dead_process), scratch(workspace, os.getpid())
    elsewhere = scratch(workspace, dead_process, host="another-machine", boot="of-another-kernel")
    strange = workspace / "runs/.scratch-x"
    strange.mkdir()
    damaged = next((workspace / "runs").glob("train-*"))
    (damaged / "weights.safetensors").write_bytes(b"short")
    expected = [
        f"runs/{left.name}: left by an interrupted run, begun by process {dead_process} on {socket.gethostname()}",
        f"runs/{damaged.name}: damaged (weights.safetensors has changed)",
    ]
    before = names(workspace)
    silent = time.time() - 600
    os.utime(elsewhere, (silent, silent))
    stays = [
        f"kept runs/{strange.name}: begun by an unknown process, which writes it",
        f"kept runs/{elsewhere.name}: begun by process {dead_process} on another-machine, untouched for 10 min; it "
        "counts as left after 60 min",
        f"kept runs/{busy.name}: begun by process {os.getpid()} on {socket.gethostname()}, which writes it",
    ]
    said = rbp("clean", "--dry-run").out.splitlines()
    assert (said[:2], set(said[2:])) == ([f"would remove {line}" for line in expected], set(stays))
    assert names(workspace) == before
    assert rbp("clean").out.splitlines()[:2] == [f"removed {line}" for line in expected]
    kept = {busy.name, elsewhere.name, strange.name}
    assert names(workspace) == whole - {damaged.name} | kept
    assert rbp("clean").out.splitlines()[-1] == "Nothing to remove."
    assert rbp("leaderboard").code == 0
    assert "1 job to do, 3 finished before and kept." in run(seeds="2").err
    assert names(workspace) == whole | kept
    long_ago = time.time() - 2 * 3600
    for folder in (elsewhere, strange):
        os.utime(folder, (long_ago, long_ago))
    gone = rbp("clean").out
    assert all(f"removed runs/{folder.name}: left by " in gone for folder in (elsewhere, strange))
    assert names(workspace) == whole | {busy.name}


def test_clean_where_nothing_was_run(rbp):
    assert rbp("clean").out == rbp("clean", "--unused").out == "Nothing to remove.\n"


def test_clean_removes_what_no_plan_names_any_more(workspace, run, rbp):
    text = 'summary = "x"\nregularizer = "similarity"\nparameters = { target = "pixel", alpha = 0.1 }\n'
    (workspace / "models/mine.toml").write_text(text)
    run(recipes=["unregularized", "mine"], suite="tiny")
    (workspace / "models/mine.toml").write_text(text.replace("0.1", "0.2"))
    old = names(workspace)
    run(recipes=["unregularized", "mine"], suite="tiny")
    assert rbp("clean").out == "Nothing to remove.\n"
    planned = rbp("clean", "--unused", "--dry-run").out.splitlines()
    assert len(planned) == 5  # the old model, its three attacks and its smallest distances; not the source model
    assert all(line.startswith("would remove runs/") and line.endswith(": no plan names it") for line in planned)
    assert all(line.split()[2].removeprefix("runs/").rstrip(":") in old for line in planned)
    board = rbp("leaderboard", "--format", "csv").out
    assert rbp("clean", "--unused").out.splitlines() == [line.replace("would remove", "removed") for line in planned]
    assert rbp("clean", "--unused").out == "Nothing to remove.\n"
    assert rbp("leaderboard", "--format", "csv").out == board
    assert "Nothing to do" in run(recipes=["unregularized", "mine"], suite="tiny").err


def test_nothing_is_called_unused_where_plans_are_gone_or_a_run_is_at_work(workspace, run, rbp):
    run()
    whole = names(workspace)
    (plan,) = (workspace / "runs/plans").iterdir()
    with at_work(workspace / "runs", RUN):
        assert f"A run is at work in runs (process {os.getpid()} on " in rbp("clean", "--unused").refusal
        assert rbp("clean").code == 0
    plan.write_text("{")
    said = rbp("clean", "--unused")
    assert said.code == 1
    assert f"The plan runs/plans/{plan.name} cannot be used (" in said.err
    assert "1 of them are set aside" in said.err
    assert "1 of them are set aside" in rbp("clean", "--unused").refusal
    plan.with_suffix(".set-aside").unlink()
    assert "and there are none" in rbp("clean", "--unused").refusal
    assert names(workspace) == whole
    assert "Nothing to do" in run().err
    assert rbp("clean", "--unused").out == "Nothing to remove.\n"


def test_doctor_certifies_attacks(rbp, workspace):
    said = rbp("doctor", "--attacks", "gaussian", "boundary-foolbox", "--format", "json")
    states = {(row["attack"], row["property"]): row["state"] for row in json.loads(said.out)}
    assert said.code == 0
    assert states["gaussian", "repeats"] == "passes"
    assert states["gaussian", "budget"] == "-"
    assert states["boundary-foolbox", "batch"] == "known"
    text = rbp("doctor", "--attacks", "gaussian", "boundary-foolbox").out
    assert "boundary-foolbox: batch: depends on batch" in text
    assert text.splitlines()[-1] == "2 attacks, 21 properties: 20 pass, 1 are known defects, 0 fail."


def test_doctor_fails_with_an_attack_that_breaks_a_property(rbp, workspace):
    (workspace / "attacks/ours.py").write_text(
        "import torch\n\ndef noise(target, images, labels, strengths, keys):\n"
        "    for strength in strengths:\n        yield images + strength * torch.rand_like(images)\n"
    )
    (workspace / "attacks/ours.toml").write_text(
        'summary = "x"\nattack = "ours.py:noise"\naccess = "none"\n'
        'strength = "width"\nstrengths = { default = [0, 1] }\n'
    )
    said = rbp("doctor", "--attacks", "ours")
    assert said.code == 1
    assert "ours: states: it draws from a global random state" in said.out
    assert "ours: bounds: it leaves [0, 1] by" in said.out


def test_names_without_attacks_are_a_usage_error(rbp):
    assert rbp("doctor", "gaussian").code == 2

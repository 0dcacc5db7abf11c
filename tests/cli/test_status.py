"""``rbp status`` before, after and between runs."""

import csv
import io
import json
import shutil
import subprocess
import sys

from robustbench_pix.runs.job_log import LEVEL
from robustbench_pix.runs.store import PROGRESS, Store


def test_there_is_nothing_to_tell_of_without_a_run(rbp):
    assert rbp("status").refusal == "There are no runs in runs; begin with rbp run."


def test_it_tells_what_is_done_what_runs_and_what_is_left(workspace, rbp, run):
    assert run().code == 0
    assert "Jobs of all plans: 2 done, 0 running, 0 waiting, 0 failed.\nNothing is left to do.\n" in rbp("status").out
    (attack,) = (workspace / "runs").glob("attack-*")
    shutil.rmtree(attack)
    lines = rbp("status").out.splitlines()
    assert lines[0].split() == ["recipe", "on", "suite", "size", "done", "running", "waiting", "failed"]
    assert lines[2].split() == ["unregularized", "tiny:tiny", "noise", "full", "1", "0", "1", "0"]
    assert lines[-1] == "The time left is unknown: no job like those that are left is finished."
    with Store(workspace / "runs").writing(attack.name, {}) as scratch:
        (scratch / PROGRESS).write_text("0.5000\ngaussian on it")
        shown = rbp("status").out
        told = json.loads(rbp("status", "--format", "json").out)
    assert "gaussian on it  50%" in shown
    assert told["jobs"] == {"done": 1, "running": 1, "waiting": 0, "failed": 0}
    assert (told["running"][0]["title"], told["running"][0]["fraction"]) == ("gaussian on it", 0.5)
    assert (told["seconds_left"], told["unknown"]) == (0, 1)


def test_it_tells_why_jobs_failed(workspace, rbp, run):
    (workspace / "models/broken.py").write_text("def loss(step):\n    raise ValueError('no luck')\n")
    text = 'summary = "x"\nregularizer = "broken.py:loss"\n[parameters]\nalpha = 1.0\n'
    (workspace / "models/broken.toml").write_text(text)
    assert run(recipes=["broken"]).code == 1
    told = json.loads(rbp("status", "--format", "json").out)
    assert told["jobs"] == {"done": 0, "running": 0, "waiting": 0, "failed": 2}
    (failed,) = told["failed"]
    assert "no luck" in failed["reason"]
    assert len(failed["jobs"]) == 2
    assert "no luck" in rbp("status").out
    (row,) = csv.DictReader(io.StringIO(rbp("status", "--format", "csv").out))
    assert row["failed"] == "2"


def test_it_needs_no_large_library():
    program = "import sys, robustbench_pix.runs.status; print({'torch', 'numpy', 'pandas'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"


def test_the_log_of_a_run_has_what_the_level_says(workspace, run, monkeypatch):
    monkeypatch.setenv(LEVEL, "error")
    assert run("--log-level", "info").code == 0
    (log,) = (workspace / "logs").iterdir()
    assert [line.partition("]")[2].split()[0] for line in log.read_text().splitlines()] == ["begins", "is"] * 2
    assert run("--log-level", "error", seeds="2").code == 0
    assert len(log.read_text().splitlines()) == 4

"""A real Slurm: the same bytes although a job is cancelled in the middle, and Ctrl-C leaves the queue empty."""

import shutil
import signal
import subprocess
import time
import uuid

import pytest

from tests.runs.cluster.clusters import SLURM, begin, cluster_file, run, wait_for
from tests.runs.test_processes import published
from tests.workspaces import tiny_workspace


def slurm(*command: str) -> str:
    """Return what a command of Slurm writes, its own messages included."""
    done = subprocess.run(command, capture_output=True, text=True, timeout=20, check=False)
    return done.stdout if done.returncode == 0 else ""


pytestmark = [
    pytest.mark.skipif(shutil.which("sbatch") is None, reason="sbatch is not installed here"),
    pytest.mark.skipif(
        shutil.which("sinfo") is not None and "idle" not in slurm("sinfo", "-h", "-o", "%T"),
        reason="Slurm does not run here, or its node is busy",
    ),
]


def queued(name: str) -> list[str]:
    """Return the numbers of the jobs of a name that wait or run."""
    return slurm("squeue", "-h", "-n", name, "-t", "PENDING,RUNNING", "-o", "%i").split()


def test_a_cancelled_job_costs_nothing_but_time(tmp_path):
    name = f"rbp-{uuid.uuid4().hex[:8]}"
    inline, there = (tiny_workspace(tmp_path / name) for name in ("inline", "there"))
    assert run(inline, "--executor", "inline", "--device", "cpu").exit_code == 0
    process = begin(there, "--cluster", cluster_file(tmp_path, SLURM.format(workers=2, name=name)))
    wait_for(there / "runs", "train-*")
    cancelled = queued(name)
    slurm("scancel", *cancelled)
    _, errors = process.communicate(timeout=240)
    assert process.returncode == 0, errors
    assert len(cancelled) == 1
    assert published(there) == published(inline)
    assert queued(name) == []
    logs = {path.stem.rpartition("-")[2] for path in (there / "logs").glob("*.err")}
    assert set(cancelled) < logs


def test_ctrl_c_leaves_no_job_in_the_queue(tmp_path):
    name = f"rbp-{uuid.uuid4().hex[:8]}"
    workspace = tiny_workspace(tmp_path / "there")
    process = begin(workspace, "--cluster", cluster_file(tmp_path, SLURM.format(workers=4, name=name)))
    wait_for(workspace / "runs", "train-*")
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 130, errors
    assert "the same command goes on" in errors
    deadline = time.monotonic() + 30
    while queued(name) and time.monotonic() < deadline:
        time.sleep(0.5)
    assert queued(name) == []
    assert list((workspace / "runs").glob("train-*"))

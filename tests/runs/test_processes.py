"""Real processes: killed at any moment and started again, a run ends with the same bytes."""

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

from click.testing import CliRunner

from robustbench_pix.cli import main
from tests.workspaces import tiny_workspace

ARGUMENTS = ["--suite", "tiny", "--on", "tiny", "--recipe", "unregularized", "--recipe", "thresholded", "--seeds", "2"]
COMMAND = [sys.executable, "-m", "robustbench_pix", "run", *ARGUMENTS, "--device", "cpu", "--format", "csv"]


def start(workspace: Path, *more: str) -> subprocess.Popen:
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    return subprocess.Popen(
        [*COMMAND, "--workspace", str(workspace), *more],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # A shell's background jobs ignore it.
    )


def published(workspace: Path) -> dict[str, bytes]:
    """Publish, and return the files without seconds, which differ each time."""
    assert CliRunner().invoke(main, ["publish", "--workspace", str(workspace)]).exit_code == 0
    files = {path.name: path.read_bytes() for path in (workspace / "leaderboard").iterdir()}
    sums = [line for line in files["SHA256SUMS"].splitlines(keepends=True) if b"costs" not in line]
    return {name: data for name, data in files.items() if "costs" not in name} | {"SHA256SUMS": b"".join(sums)}


def test_the_same_bytes_whole_and_killed(tmp_path):
    whole, killed = (tiny_workspace(tmp_path / name) for name in ("whole", "killed"))
    first = start(whole)
    output, errors = first.communicate(timeout=300)
    assert first.returncode == 0, errors
    assert output.startswith("suite,")

    process = start(killed)
    deadline = time.monotonic() + 120
    while not list((killed / "runs").glob(".scratch-*")) and time.monotonic() < deadline:
        time.sleep(0.05)
    time.sleep(random.random() * 3)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    again = start(killed)
    resumed, errors = again.communicate(timeout=300)
    assert again.returncode == 0, errors
    assert resumed == output
    assert published(whole) == published(killed)


def test_two_clients_at_once_share_the_jobs(tmp_path):
    workspace = tiny_workspace(tmp_path)
    clients = [start(workspace, "--workers", "1") for _ in range(2)]
    said = [client.communicate(timeout=300) for client in clients]
    assert [client.returncode for client in clients] == [0, 0], said
    assert said[0][0] == said[1][0]
    runs = [path.name for path in (workspace / "runs").iterdir()]
    assert not [name for name in runs if name.startswith((".claim-", ".scratch-"))]
    assert not list((workspace / "runs/.clients").iterdir())


def test_ctrl_c_keeps_what_is_finished_and_leaves_no_process(tmp_path):
    workspace = tiny_workspace(tmp_path)
    process = start(workspace, "--seeds", "20")
    deadline = time.monotonic() + 120
    while not list((workspace / "runs").glob("attack-*")) and time.monotonic() < deadline:
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "the same command goes on" in errors
    assert "Traceback" not in errors
    assert list((workspace / "runs").glob("attack-*"))
    again = start(workspace)
    _, errors = again.communicate(timeout=300)
    assert again.returncode == 0
    assert "finished before and kept" in errors

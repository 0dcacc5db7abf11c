"""Workers that die, and a scheduler that does: what was finished is kept, and one sentence says why the rest is not."""

import json
import signal
import subprocess
import sys

import pytest

from tests.runs.cluster.clusters import begin, cluster_file, run, wait_for
from tests.workspaces import tiny_workspace

CODE = """
import os, signal, time
from pathlib import Path


def once(target, images, labels, strengths, keys, *, marker):
    if not Path(marker).exists():
        Path(marker).touch()
        os.kill(os.getpid(), signal.SIGKILL)
    yield from (images for _ in strengths)


def always(target, images, labels, strengths, keys):
    os.kill(os.getpid(), signal.SIGKILL)
    yield images


def slow(target, images, labels, strengths, keys, *, marker):
    Path(marker).touch()
    time.sleep(300)
    yield images
"""

ATTACK = """\
summary = "x"
attack = "own.py:{name}"
access = "none"
strength = "sigma"
strengths = {{ default = [0.0, 0.1] }}
"""


@pytest.fixture
def workspace(tmp_path):
    def make(*attacks):
        folder = tiny_workspace(tmp_path / "there")
        (folder / "attacks/own.py").write_text(CODE)
        for name in attacks:
            marker = f'parameters = {{ marker = "{tmp_path / name}" }}\n' if name != "always" else ""
            (folder / f"attacks/{name}.toml").write_text(ATTACK.format(name=name) + marker)
        named = ", ".join(f'"{name}"' for name in ("gaussian", *attacks))
        (folder / "attacks/suites/tiny.toml").write_text(f'version = 1\nsummary = "x"\nattacks = [{named}]\n')
        return folder

    return make


def test_a_job_that_takes_three_workers_is_given_up_and_the_others_go_on(workspace, tmp_path):
    folder = workspace("once", "always")
    file = cluster_file(tmp_path, 'kind = "local"\nworkers = 2\nshared_disk = false')
    done = run(folder, "--cluster", file, recipes="unregularized")
    assert done.exit_code == 1, done.output
    given_up = [line for line in done.output.splitlines() if ": failed, " in line]
    assert len(given_up) == 1, done.output
    assert "always on unregularized" in given_up[0]
    assert given_up[0].endswith("or its machine was lost, three times")
    assert (tmp_path / "once").exists()
    assert len(list((folder / "runs").glob("attack-*"))) == 2
    assert "Traceback" not in done.output
    assert "distributed" not in done.output


def test_a_scheduler_that_is_lost_ends_the_run_with_a_sentence(workspace, tmp_path):
    folder, address_file = workspace("slow"), tmp_path / "scheduler.json"
    dask = [sys.executable, "-m", "dask"]
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    where = ["--host", "127.0.0.1", "--port", "0", "--no-dashboard", "--scheduler-file", address_file]
    scheduler = subprocess.Popen([*dask, "scheduler", *where], **quiet)
    worker = subprocess.Popen(
        [*dask, "worker", "--scheduler-file", address_file, "--nthreads", "1", "--no-nanny", "--no-dashboard"],
        **quiet,
    )
    client = None
    try:
        wait_for(tmp_path, "scheduler.json")
        address = json.loads(address_file.read_text())["address"]
        file = cluster_file(tmp_path, f'kind = "address"\naddress = "{address}"')
        client = begin(folder, "--cluster", file, recipes="unregularized")
        wait_for(tmp_path, "slow")
        scheduler.send_signal(signal.SIGKILL)
        _, errors = client.communicate(timeout=60)
    finally:
        for process in filter(None, (scheduler, worker, client)):
            process.kill()
            process.wait()
    assert client.returncode == 1, errors
    assert "Traceback" not in errors
    assert errors.splitlines()[-1].startswith("Error: The ")
    assert "scheduler" in errors.splitlines()[-1]
    assert list((folder / "runs").glob("train-*"))

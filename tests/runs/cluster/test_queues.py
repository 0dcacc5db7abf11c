"""A queue that rejects a job is quoted, and Ctrl-C leaves no job in it; sbatch and scancel are stand-ins."""

import os
import signal
import sys

import pytest

from robustbench_pix.errors import UserError
from robustbench_pix.runs.cluster import starting
from robustbench_pix.runs.cluster.cluster_file import AddressSpec, QueueSpec, SshSpec
from robustbench_pix.runs.cluster.starting import connected
from tests.runs.cluster.clusters import SLURM, begin, cluster_file, wait_for
from tests.workspaces import tiny_workspace


@pytest.fixture
def commands(tmp_path, monkeypatch):
    """Put commands of these texts on the path."""
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")

    def write(**texts):
        for name, text in texts.items():
            (tmp_path / name).write_text(f"#!/bin/sh\n{text}\n")
            (tmp_path / name).chmod(0o755)

    return write


def slurm(**options):
    return QueueSpec(kind="slurm", workers=2, options={"memory": "2GB", "walltime": "01:00:00", **options})


def refusal(spec, folder):
    with pytest.raises(UserError) as error, connected(spec, folder):
        pass
    return str(error.value)


def test_the_words_of_the_queue_are_shown(commands, tmp_path):
    commands(sbatch='echo "sbatch: error: invalid partition specified: gpuu" >&2; exit 1')
    said = refusal(slurm(queue="gpuu"), tmp_path)
    assert said == (
        "No workers could be had of slurm: sbatch: error: invalid partition specified: gpuu; mend that, or the file of "
        "--cluster, and run the same command again."
    )


def test_a_queue_that_is_not_there(commands, tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    assert "No such file or directory: 'sbatch'" in refusal(slurm(), tmp_path)


def test_a_job_states_threads_memory_and_when_its_workers_end(commands, tmp_path):
    commands(sbatch=f'cp "$1" {tmp_path}/job; echo "Submitted batch job 7"', scancel="true")
    with connected(
        slurm(job_script_prologue=["module load python"]).model_copy(update={"slots": 2}), tmp_path / "logs"
    ):
        script = (tmp_path / "job").read_text()
    assert "export OMP_NUM_THREADS=1\n" in script
    assert "export MALLOC_TRIM_THRESHOLD_=1073741824\n" in script
    assert "module load python\n" in script
    assert "#SBATCH --cpus-per-task=2\n" in script
    assert "--nworkers 2 --nanny" in script
    assert "--nthreads 1" in script
    assert "--lifetime 3300s --lifetime-stagger 150s" in script
    assert f"#SBATCH -o {tmp_path}/logs/" in script


def test_ctrl_c_takes_the_jobs_out_of_the_queue(commands, tmp_path):
    commands(
        sbatch=f'touch {tmp_path}/sent; echo "Submitted batch job 7"', scancel=f'echo "$@" >> {tmp_path}/cancelled'
    )
    workspace = tiny_workspace(tmp_path / "there")
    process = begin(workspace, "--cluster", cluster_file(tmp_path, SLURM.format(workers=2, name="rbp")))
    wait_for(tmp_path, "sent")
    wait_for(workspace / "runs", ".claim-*")
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 130, errors
    assert errors.splitlines()[-1].startswith("Stopped.")
    assert (tmp_path / "cancelled").read_text().split() == ["7"]
    assert not list((workspace / "runs").glob(".claim-*"))


def test_ssh_without_its_library_names_it(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "asyncssh", None)
    assert "requires the `asyncssh` package" in refusal(SshSpec(hosts=("127.0.0.1",)), tmp_path)


def test_an_address_where_nobody_answers(monkeypatch, tmp_path):
    monkeypatch.setattr(starting, "CONNECT_SECONDS", 0.5)
    said = refusal(AddressSpec(address="tcp://127.0.0.1:9"), tmp_path)
    assert said.startswith("No scheduler answers at tcp://127.0.0.1:9 within 0.5 s")
    assert said.endswith("start one there with dask scheduler, or correct the address.")

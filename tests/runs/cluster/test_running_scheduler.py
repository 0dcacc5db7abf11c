"""A scheduler that runs already: workers of other versions or without the package, and what rbp doctor says."""

import pytest
from click.testing import CliRunner

from robustbench_pix.cli import main
from robustbench_pix.runs.cluster import executor, report
from robustbench_pix.runs.cluster.cluster_file import LocalSpec
from robustbench_pix.runs.cluster.starting import connected
from robustbench_pix.runs.cluster.versions import versions
from tests.runs.cluster.clusters import cluster_file, run
from tests.workspaces import tiny_workspace


@pytest.fixture(scope="module")
def address(tmp_path_factory):
    with connected(LocalSpec(workers=1), tmp_path_factory.mktemp("logs")) as (client, _):
        yield f'kind = "address"\naddress = "{client.scheduler.address}"\n'


@pytest.fixture
def workspace(tmp_path):
    return tiny_workspace(tmp_path / "there")


def doctor(workspace, file):
    return CliRunner().invoke(main, ["doctor", "--cluster", file, "--workspace", str(workspace), "--format", "csv"])


def test_doctor_reports_each_worker(address, workspace, tmp_path):
    done = doctor(workspace, cluster_file(tmp_path, address))
    assert done.exit_code == 0, done.output
    _, cluster, worker = done.stdout.splitlines()
    assert cluster.startswith("cluster,works,")
    assert "dashboard http://127.0.0.1:" in cluster
    assert worker.startswith("worker 0,works,")
    for part in ("cpu; robustbench_pix 0.1.0 (commit ", "; torch ", "; data at ", ": digits", "; round trip "):
        assert part in worker


def test_doctor_fails_where_versions_differ(address, workspace, tmp_path, monkeypatch):
    monkeypatch.setattr(report, "versions", lambda: {**versions(), "torch": "1.0"})
    done = doctor(workspace, cluster_file(tmp_path, address))
    assert done.exit_code == 1
    assert "worker 0,fails," in done.stdout
    assert "(the client 1.0)" in done.stdout


def test_a_run_refuses_workers_of_other_versions(address, workspace, tmp_path, monkeypatch):
    monkeypatch.setattr(executor, "versions", lambda: {**versions(), "numpy": "1.0"})
    done = run(workspace, "--cluster", cluster_file(tmp_path, address))
    assert done.exit_code == 1
    assert done.output.splitlines()[-1].startswith("Error: The worker on ")
    assert f"numpy {versions()['numpy']} (the client 1.0)" in done.output


def test_a_worker_without_the_package_is_one_sentence(address, workspace, tmp_path, monkeypatch):
    monkeypatch.setattr(executor, "sealed_call", lambda *arguments: b"cno_such_package\nfunction\n.")
    done = run(workspace, "--cluster", cluster_file(tmp_path, address))
    assert done.exit_code == 1
    error = done.output.splitlines()[-1]
    assert error.startswith("Error: A worker cannot load what jobs need (ModuleNotFoundError: No module named")
    assert "install robustbench_pix there" in error


def test_data_that_a_worker_lacks_ends_the_run(address, workspace, tmp_path):
    (workspace / "models/tasks/tiny.toml").write_text(
        (workspace / "models/tasks/tiny.toml").read_text().replace('"digits"', '"own.py:data"')
    )
    (workspace / "models/tasks/own.py").write_text(OWN_DATA)
    for root, value in (("here", 10), ("elsewhere", 11)):
        (tmp_path / root).mkdir()
        (tmp_path / root / "value").write_text(str(value))
    other = cluster_file(tmp_path, f'{address}shared_disk = false\ndata_root = "{tmp_path / "elsewhere"}"')
    done = run(workspace, "--cluster", other, "--data-root", str(tmp_path / "here"))
    assert done.exit_code == 1
    assert f"the data set own.py:data at {tmp_path / 'elsewhere'} is not the one that the client has" in done.output
    assert not list((workspace / "runs").glob("train-*"))


OWN_DATA = """
import torch

import robustbench_pix as rbp


def data(root, *, colour):
    images = torch.full((80, 1, 8, 8), int((root / "value").read_text()), dtype=torch.uint8)
    labels = torch.arange(80) % 2
    return rbp.ImageData(images, labels, test_images=images, test_labels=labels, classes=2)
"""

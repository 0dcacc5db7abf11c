"""The same bytes wherever jobs run: inline, in processes, on Dask, and on Dask without a shared disk."""

import pytest

from tests.runs.cluster.clusters import begin, cluster_file, run
from tests.runs.test_processes import published
from tests.workspaces import tiny_workspace


@pytest.fixture(scope="module")
def inline(tmp_path_factory):
    workspace = tiny_workspace(tmp_path_factory.mktemp("inline"))
    done = run(workspace, "--executor", "inline", "--device", "cpu")
    assert done.exit_code == 0, done.output
    return published(workspace)


def test_two_workers_of_dask_publish_the_same_bytes(inline, tmp_path):
    workspace = tiny_workspace(tmp_path)
    done = run(workspace, "--executor", "dask", "--workers", "2", "--device", "cpu")
    assert done.exit_code == 0, done.output
    assert "dashboard: http://127.0.0.1:" in done.output
    assert published(workspace) == inline


def test_without_a_shared_disk_the_same_bytes_are_published(inline, tmp_path):
    workspace = tiny_workspace(tmp_path / "there")
    done = run(workspace, "--cluster", cluster_file(tmp_path, 'kind = "local"\nworkers = 2\nshared_disk = false'))
    assert done.exit_code == 0, done.output
    assert published(workspace) == inline


def test_processes_publish_the_same_bytes(inline, tmp_path):
    workspace = tiny_workspace(tmp_path)
    with begin(
        workspace, "--device", "cpu"
    ) as process:  # A program of its own: its workers must find the same files of the package.
        _, errors = process.communicate(timeout=300)
    assert process.returncode == 0, errors
    assert published(workspace) == inline

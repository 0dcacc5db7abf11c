"""What every test needs: one thread, so that workers side by side do not slow each other down, and its own modules."""

import os
import sys

import pytest

for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ.setdefault(name, "1")

import torch  # noqa: E402

from robustbench_pix.runs import worker  # noqa: E402
from tests import finished_jobs as jobs  # noqa: E402

torch.set_num_threads(1)

LONGEST = (
    *("runs/test_runs.py", "leaderboard/test_verification.py", "evaluation/test_gradient_checks.py"),
    *("attacks/test_linear.py", "cli/test_boards.py", "leaderboard/test_image_verification.py"),
    *("benchmarks/test_benchmarks.py", "cli/test_surroundings.py", "cli/test_figures.py", "runs/test_processes.py"),
    *("runs/cluster/test_slurm.py", "runs/cluster/test_parity.py", "runs/cluster/test_faults.py"),
    *("benchmarks/test_tampering.py", "leaderboard/test_forgeries.py", "test_readme.py", "cli/test_failures.py"),
)
"""The files that take longest come first, so that no worker is left with one of them at the end."""


def pytest_collection_modifyitems(items):
    """Move the tests of the longest files to the front."""
    places = {f"tests/{name}": place for place, name in enumerate(LONGEST)}
    items.sort(key=lambda item: places.get(item.nodeid.partition("::")[0], len(places)))


_path, _elsewhere = list(sys.path), set[str]()
"""Where modules are looked for before any test, and names of those that lie in no test's folder."""


@pytest.fixture(autouse=True)
def _modules_are_forgotten(monkeypatch, tmp_path_factory):
    """Forget what a test imports from its folder: the next one may have another ``net``."""
    monkeypatch.setattr(sys, "path", list(_path))
    yield
    folder = str(tmp_path_factory.getbasetemp()) + os.sep
    for name in set(sys.modules) - _elsewhere:
        if (getattr(sys.modules[name], "__file__", None) or "").startswith(folder):
            del sys.modules[name]
        else:
            _elsewhere.add(name)


@pytest.fixture(scope="session")
def finished_jobs_folder(tmp_path_factory):
    """Give a folder for what jobs wrote, which all workers of this session share."""
    base = tmp_path_factory.getbasetemp()
    folder = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "finished-jobs"
    folder.mkdir(exist_ok=True)
    return folder


@pytest.fixture(scope="module")
def finished_jobs(finished_jobs_folder):
    """Copy what a job in this process would write, where this session has done it before."""
    with jobs.kept(finished_jobs_folder):
        yield


@pytest.fixture
def every_job_is_done(monkeypatch):
    """Do every job, even where the module copies finished ones."""
    monkeypatch.setattr(worker, "_do", jobs.do)

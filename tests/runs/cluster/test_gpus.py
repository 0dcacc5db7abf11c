"""Workers of one host take different GPUs; the GPUs are stand-ins, the locks are real."""

import os
from types import SimpleNamespace

import pytest
import torch

from robustbench_pix.errors import UserError
from robustbench_pix.runs.cluster import gpus
from robustbench_pix.runs.cluster.local_worker import visible_gpu
from robustbench_pix.runs.cluster.run_on_cluster import cluster_of
from robustbench_pix.runs.request import Resources


@pytest.fixture
def two_gpus(monkeypatch, tmp_path):
    held = []
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda index: SimpleNamespace(uuid=f"gpu-{index}"))
    monkeypatch.setattr(gpus.tempfile, "gettempdir", lambda: str(tmp_path))
    monkeypatch.setattr(gpus, "_held", held)
    yield held
    for descriptor in held:
        os.close(descriptor)


def test_each_worker_takes_another_gpu(two_gpus):
    assert [gpus.take_gpu(), gpus.take_gpu()] == ["cuda:0", "cuda:1"]
    assert gpus.take_gpu() == f"cuda:{os.getpid() % 2}"  # More workers than GPUs.


def test_the_gpu_of_a_worker_that_ended_is_free(two_gpus):
    gpus.take_gpu()
    gpus.take_gpu()
    os.close(two_gpus.pop(0))
    assert gpus.take_gpu() == "cuda:0"


def test_a_host_without_a_gpu_is_refused(monkeypatch):
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 0)
    with pytest.raises(UserError, match="torch finds no GPU there; leave gpus out"):
        gpus.take_gpu()


def test_dask_on_this_machine_has_a_worker_a_gpu(two_gpus):
    spec = cluster_of(Resources(executor="dask"), "cuda")
    assert (spec.most_workers, spec.gpus, spec.device) == (2, 2, "cuda")
    spec = cluster_of(Resources(executor="dask", workers=3), "cuda")
    assert (spec.most_workers, spec.gpus) == (3, 2)
    assert cluster_of(Resources(executor="dask", workers=3), "cpu").device == "cpu"
    with pytest.raises(UserError, match="works on cpu or cuda, not on cuda:1"):
        cluster_of(Resources(executor="dask"), "cuda:1")


def test_local_workers_see_one_gpu_each(monkeypatch):
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    assert [visible_gpu(name, 3) for name in range(4)] == ["0", "1", "2", "0"]
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "5,7")
    assert [visible_gpu(name, 2) for name in range(3)] == ["5", "7", "5"]

"""What a worker does with an order, in this process: versions, the disk, the data, and folders that it lacks."""

import errno
import os
import pickle
import socket
from dataclasses import replace
from pathlib import Path

import distributed
import pytest

from robustbench_pix import __version__
from robustbench_pix.catalogue.workspace import SHIPPED, Workspace
from robustbench_pix.errors import UserError
from robustbench_pix.runs.cluster import versions, worker_side
from robustbench_pix.runs.cluster.apart import CATALOGUE
from robustbench_pix.runs.cluster.messages import Order, Places
from robustbench_pix.runs.cluster.parcels import pack_folders, pack_run, parcel_digest, unpack_run
from robustbench_pix.runs.planner import make_plan
from robustbench_pix.runs.request import RunConfig
from robustbench_pix.runs.store import Store
from tests.workspaces import tiny_workspace

HERE = versions.versions()


@pytest.fixture(autouse=True)
def _this_is_a_worker(monkeypatch, tmp_path):
    class Worker:
        local_directory, address = str(tmp_path / "worker"), "tcp://worker"

    monkeypatch.setattr(worker_side._This, "device", "cpu")
    monkeypatch.setattr(distributed, "get_worker", Worker)


@pytest.fixture
def workspace(tmp_path):
    return tiny_workspace(tmp_path / "client")


@pytest.fixture
def jobs(workspace, tmp_path):
    config = RunConfig.parse(
        workspace=Workspace(workspace), suite="tiny", recipes=["unregularized"], on=["tiny"], seeds="1",
        data_root=tmp_path / "data",
    )  # fmt: skip
    return make_plan(config, "cpu").jobs


@pytest.fixture
def order(workspace, tmp_path):
    (workspace / "runs").mkdir()
    return Order([], "cpu", [], [], None, Places(workspace, SHIPPED, tmp_path / "data"))


def answered(order, client=HERE):
    return worker_side.carry_out_order(client, pickle.dumps(order))


def named(jobs, title):
    return next(job for job in jobs.values() if title in job.title)


@pytest.mark.parametrize("name", ["robustbench_pix", "python", "torch", "numpy", "scipy", "torchvision", "foolbox"])
def test_another_version_is_refused_by_name(name, order):
    with pytest.raises(
        UserError, match=rf"^The worker on \S+ cannot go on: other versions .*: {name} \S+ \(the client 0"
    ):
        answered(order, {**HERE, name: "0"})


def test_versions_are_those_of_what_is_installed(monkeypatch):
    assert HERE["robustbench_pix"] == __version__
    monkeypatch.setattr(versions, "version", lambda name: "2.9.0+cpu")
    assert versions.differences({**HERE, "torch": "2.9.0"}) == ""
    assert versions.differences({**HERE, "torch": "2.8.0"}) == "torch 2.9.0 (the client 2.8.0)"


def test_a_workspace_that_is_not_there_is_no_shared_disk(order, tmp_path):
    with pytest.raises(UserError, match=r"nowhere/runs is not there; .*shared_disk = false"):
        answered(replace(order, places=Places(tmp_path / "nowhere", SHIPPED, tmp_path)))


def test_data_that_differs_is_refused_before_a_training(order, jobs, monkeypatch):
    job = named(jobs, "train unregularized")
    task = job.identity.task.model_copy(update={"dataset": "0" * 16})
    other = replace(job, identity=job.identity.model_copy(update={"task": task}))
    with pytest.raises(UserError, match=r"the data set digits at \S+/data is not the one that the client has; copy"):
        answered(replace(order, jobs=[other]))
    assert not list(order.places.workspace.glob("runs/*"))


def test_a_disk_that_is_full_is_one_sentence_with_the_host(order, jobs, workspace, monkeypatch):
    def full(path, content):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    catalogue = pack_folders(workspace, ("attacks", "models"), 2**20)
    order = replace(order, catalogue=parcel_digest(catalogue), jobs=[named(jobs, "train unregularized")])
    monkeypatch.setattr(Path, "write_bytes", full)
    said = rf"^The worker on {socket.gethostname()} cannot go on: Could not write to \S+: No space left on device; make"
    with pytest.raises(UserError, match=said):
        answered(replace(order, parcels={CATALOGUE: catalogue}))


def test_data_that_is_not_there_is_refused(order, jobs, tmp_path):
    job = named(jobs, "train unregularized")
    data = job.context.data.model_copy(update={"reference": "cifar10", "root": Path("/nowhere")})
    other = replace(job, context=job.context.model_copy(update={"data": data}))
    with pytest.raises(UserError, match=r"cannot go on: .*cifar"):
        answered(replace(order, jobs=[other]))


def test_a_worker_apart_says_what_it_lacks_and_sends_what_it_made(order, jobs, workspace, tmp_path):
    catalogue = pack_folders(workspace, ("attacks", "models"), 2**20)
    order = replace(order, catalogue=parcel_digest(catalogue), data_root=tmp_path / "data")
    training, attack = named(jobs, "train unregularized"), named(jobs, "gaussian")
    lacking = answered(replace(order, jobs=[attack]))
    assert (lacking.lacking, lacking.worker) == ((CATALOGUE, training.name), "tcp://worker")
    trained = answered(replace(order, jobs=[training], parcels={CATALOGUE: catalogue}))
    store = Store(workspace / "runs")
    unpack_run(store, training.name, trained.made[training.name], training.manifest)
    assert store.spec(training.name)["context"] == training.manifest["context"]
    assert str(tmp_path / "worker") not in (store.folder(training.name) / "spec.json").read_text()

    fresh = replace(order, jobs=[attack], parcels={CATALOGUE: catalogue, training.name: pack_run(store, training.name)})
    done = answered(fresh)
    assert list(done.made) == [attack.name]
    kept = {path.name for path in (tmp_path / "worker/robustbench_pix").glob("*/runs/*")}
    assert kept == {training.name}


def test_a_worker_apart_needs_no_folder_of_the_client(order, jobs, workspace, tmp_path):
    catalogue = pack_folders(workspace, ("attacks", "models"), 2**20)
    order = replace(order, catalogue=parcel_digest(catalogue), jobs=[named(jobs, "train unregularized")])
    workspace.rename(tmp_path / "away")
    done = answered(replace(order, parcels={CATALOGUE: catalogue}))
    assert not done.failed
    assert list(done.made) == [order.jobs[0].name]

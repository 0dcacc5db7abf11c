"""Folders as bytes arrive whole or not at all, and contexts of jobs name the places of another machine."""

from pathlib import Path

import pytest

from robustbench_pix.errors import UserError
from robustbench_pix.runs.cluster.moving import moved
from robustbench_pix.runs.cluster.parcels import pack_folders, pack_run, unpack_folders, unpack_run
from robustbench_pix.runs.identities import Identity
from robustbench_pix.runs.job import AttackContext, CodeLocation, DataLocation, Job
from robustbench_pix.runs.store import Store


class Numbered(Identity):
    seed: int


@pytest.fixture
def job():
    data = DataLocation(reference="digits", folder=Path("/here/models/tasks"), root=Path("/data"), colour="gray")
    context = AttackContext(
        title="attack", data=data, attack="a", attack_path=Path("/shipped/attacks/a.toml"), batch_dependent=False,
        file=Path("/elsewhere/file.npz"), entries=64,
        models={"train-1": CodeLocation(task_folder=Path("/here/models"))},
    )  # fmt: skip
    return Job(Numbered(kind="train", seed=0), context)


@pytest.fixture
def made(tmp_path, job):
    store = Store(tmp_path / "made")
    with store.writing(job.name, job.manifest) as scratch:
        (scratch / "weights").write_bytes(bytes(range(256)) * 9)
    return store


def test_a_run_arrives_byte_by_byte(made, tmp_path, job):
    there = Store(tmp_path / "there")
    unpack_run(there, job.name, pack_run(made, job.name))
    for name in ("weights", "spec.json"):
        assert (there.folder(job.name) / name).read_bytes() == (made.folder(job.name) / name).read_bytes()
    assert there.damage(job.name) is None


def test_the_manifest_of_the_client_replaces_that_of_the_worker(made, tmp_path, job):
    there = Store(tmp_path / "there")
    elsewhere = moved(job, {Path("/here"): Path("/worker")})
    unpack_run(there, job.name, pack_run(made, job.name), elsewhere.manifest)
    assert there.spec(job.name)["context"] == elsewhere.manifest["context"]
    assert there.damage(job.name) is None


def test_a_parcel_that_changed_on_its_way_leaves_nothing(made, tmp_path, job):
    parcel, there = pack_run(made, job.name), Store(tmp_path / "there")
    changed = parcel.replace(bytes(range(256)), bytes(255) + b"x", 1)
    with pytest.raises(UserError, match="arrived damaged"):
        unpack_run(there, job.name, changed)
    assert not there.root.exists() or not list(there.root.iterdir())


def test_a_damaged_run_is_replaced_by_the_one_that_arrives(made, tmp_path, job):
    parcel, there = pack_run(made, job.name), Store(tmp_path / "there")
    unpack_run(there, job.name, parcel)
    (there.folder(job.name) / "weights").write_bytes(b"")
    unpack_run(there, job.name, parcel)
    assert there.damage(job.name) is None


def test_catalogue_files_travel_without_caches_and_have_one_digest(tmp_path):
    for name in ("models/tasks/tiny.toml", "models/own.py", "models/__pycache__/own.pyc", "runs/train-1/spec.json"):
        path = tmp_path / "here" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name)
    parcel = pack_folders(tmp_path / "here", ("attacks", "models"), 2**20)
    unpack_folders(tmp_path / "there", parcel)
    files = [path.relative_to(tmp_path / "there") for path in (tmp_path / "there").rglob("*") if path.is_file()]
    assert sorted(map(str, files)) == ["models/own.py", "models/tasks/tiny.toml"]
    assert pack_folders(tmp_path / "there", ("attacks", "models"), 2**20) == parcel
    with pytest.raises(UserError, match="hold 0 MB, and at most 0 MB travel"):
        pack_folders(tmp_path / "here", ("attacks", "models"), 10)


def test_paths_move_and_identities_stay(job):
    there = moved(job, {Path("/here"): Path("/worker"), Path("/shipped"): Path("/package"), Path("/data"): Path("/d")})
    context = there.context
    assert (context.data.folder, context.data.root) == (Path("/worker/models/tasks"), Path("/d"))
    assert context.attack_path == Path("/package/attacks/a.toml")
    assert context.models["train-1"].stated == {"task_folder": Path("/worker/models")}
    assert context.file == Path("/elsewhere/file.npz")
    assert there.name == job.name

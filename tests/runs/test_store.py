import json
import os

import pytest

from robustbench_pix.errors import UserError
from robustbench_pix.identity import RECORD_VERSION
from robustbench_pix.runs.store import Store


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path / "runs")


def write(store, name="train-1", text="content"):
    with store.writing(name, {"identity": {"a": 1}}) as scratch:
        (scratch / "file.txt").write_text(text)


def test_a_folder_appears_whole(store):
    with store.writing("train-1", {"identity": {}}) as scratch:
        (scratch / "file.txt").write_text("content")
        assert not store.has("train-1")
    assert store.has("train-1")
    assert store.damage("train-1") is None
    assert store.scratches() == []


def test_nothing_is_left_where_writing_fails(store):
    def fail(scratch):
        (scratch / "file.txt").write_text("half")
        raise RuntimeError

    with pytest.raises(RuntimeError), store.writing("train-1", {}) as scratch:
        fail(scratch)
    assert not store.has("train-1")
    assert store.scratches() == []


def test_who_comes_second_discards_theirs(store):
    with store.writing("train-1", {}) as scratch:
        (scratch / "file.txt").write_text("second")
        write(store, text="first")
    assert (store.folder("train-1") / "file.txt").read_text() == "first"
    assert store.scratches() == []


@pytest.mark.parametrize(("record", "said"), [(RECORD_VERSION, None), (1, "recorded by another version")])
def test_attacks_of_other_versions_are_made_again(store, record, said):
    with store.writing("attack-1", {"identity": {"kind": "attack", "record": record}}) as scratch:
        (scratch / "file.txt").write_text("content")
    assert store.damage("attack-1") == said


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (lambda folder: (folder / "file.txt").write_text("contenT"), "file.txt has changed"),
        (lambda folder: (folder / "file.txt").unlink(), "file.txt is missing"),
        (lambda folder: (folder / "spec.json").write_text("{"), "spec.json cannot be read"),
        (lambda folder: (folder / "spec.json").unlink(), "spec.json cannot be read"),
    ],
)
def test_damage_is_named(store, damage, said):
    write(store)
    damage(store.folder("train-1"))
    assert store.damage("train-1") == said


def test_scratch_folders_of_the_dead_are_swept_and_of_the_living_kept(store):
    write(store)
    host = os.uname().nodename
    dead = store.root / f".scratch-train-2~{host}~{2**22 + 1}~abc"
    living = store.root / f".scratch-train-3~{host}~{os.getppid()}~abc"
    elsewhere = store.root / f".scratch-train-4~another-machine~{2**22 + 1}~abc"
    for path in (dead, living, elsewhere):
        path.mkdir()
    assert store.sweep() == [dead]
    assert store.scratches() == [living, elsewhere]


def test_progress_is_read_from_whoever_writes(store):
    with store.writing("train-1", {}) as scratch:
        (scratch / "progress").write_text("0.5")
        assert store.progress("train-1") == 0.5
    assert store.progress("train-1") is None
    assert "progress" not in json.loads((store.folder("train-1") / "spec.json").read_text())["files"]


def test_a_full_disk_is_one_sentence(store):
    sentence = r"Could not write to .*No space left.*what was finished is kept"
    with pytest.raises(UserError, match=sentence), store.writing("train-1", {}):
        raise OSError(28, "No space left on device")


def test_a_file_that_is_missing_elsewhere_is_not_blamed_on_the_disk(store):
    with pytest.raises(FileNotFoundError), store.writing("train-1", {}):
        open("nowhere/at/all")  # noqa: SIM115, PTH123

import hashlib
import json
import os
import time

import pytest

from robustbench_pix.errors import UserError
from robustbench_pix.identity import RECORD_VERSION, digest
from robustbench_pix.runs.manifest import sealed
from robustbench_pix.runs.store import Store


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path / "runs")


def identified(**more):
    identity = {"kind": "train", "a": 1, **more}
    return f"{identity['kind']}-{digest(identity)}", {"identity": identity, "seconds": 1.5}


NAME, SPEC = identified()


def write(store, name=NAME, spec=SPEC, text="content"):
    with store.writing(name, spec) as scratch:
        (scratch / "file.txt").write_text(text)
    return store.folder(name)


def test_a_folder_appears_whole(store):
    with store.writing(NAME, SPEC) as scratch:
        (scratch / "file.txt").write_text("content")
        assert not store.has(NAME)
    assert store.has(NAME)
    assert store.damage(NAME) is None
    assert store.spec(NAME)["identity"] == SPEC["identity"]
    assert store.file(NAME, "file.txt").read_text() == "content"
    assert store.runs() == [NAME]
    assert store.scratches() == []


def test_nothing_is_left_where_writing_fails(store):
    def fail(scratch):
        (scratch / "file.txt").write_text("half")
        raise RuntimeError

    with pytest.raises(RuntimeError), store.writing(NAME, SPEC) as scratch:
        fail(scratch)
    assert not store.has(NAME)
    assert store.scratches() == []


def test_who_comes_second_discards_theirs(store):
    with store.writing(NAME, SPEC) as scratch:
        (scratch / "file.txt").write_text("second")
        write(store, text="first")
    assert (store.folder(NAME) / "file.txt").read_text() == "first"
    assert store.scratches() == []


@pytest.mark.parametrize(("record", "said"), [(RECORD_VERSION, None), (1, "recorded by another version")])
def test_attacks_of_other_versions_are_made_again(store, record, said):
    name, spec = identified(kind="attack", record=record)
    write(store, name, spec)
    assert store.damage(name) == said


def altered(change):
    """Return what changes a field of spec.json as somebody with an editor would."""

    def damage(folder):
        spec = json.loads((folder / "spec.json").read_text())
        change(spec)
        (folder / "spec.json").write_text(json.dumps(spec, indent=1, sort_keys=True) + "\n")

    return damage


def resealed(folder):
    spec = json.loads((folder / "spec.json").read_text())
    spec["identity"]["a"] = 2
    (folder / "spec.json").write_text(sealed(spec))


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (lambda folder: (folder / "file.txt").write_text("contenT"), "file.txt has changed"),
        (lambda folder: (folder / "file.txt").unlink(), "file.txt is missing"),
        (lambda folder: (folder / "spec.json").write_text("{"), "spec.json cannot be read"),
        (lambda folder: (folder / "spec.json").write_text("[" * 10**5), "spec.json cannot be read"),
        (lambda folder: (folder / "spec.json").unlink(), "spec.json cannot be read"),
        (altered(lambda spec: spec["identity"].update(a=2)), "spec.json has changed"),
        (altered(lambda spec: spec.update(seconds=9.0)), "spec.json has changed"),
        (altered(lambda spec: spec.update(more=1)), "spec.json has changed"),
        (altered(lambda spec: spec["files"].clear()), "spec.json has changed"),
        (altered(lambda spec: spec.pop("digest")), "recorded by another version"),
        (lambda folder: (folder / "spec.json").write_text("[]"), "spec.json has changed"),
        (resealed, f"it holds {identified(a=2)[0]}"),
    ],
)
def test_damage_is_named_and_what_changed_is_never_read(store, damage, said):
    damage(write(store))
    assert store.damage(NAME) == said
    with pytest.raises(UserError, match=r"is damaged \("):
        store.file(NAME, "file.txt")
    if "file.txt" not in said:
        assert store.fault(NAME) == said
        with pytest.raises(UserError, match="run the command that made it again"):
            store.spec(NAME)


def test_folders_that_changed_places_are_found(store):
    other, spec = identified(a=3)
    first, second = write(store), write(store, other, spec)
    first.rename(store.root / "x")
    second.rename(first)
    (store.root / "x").rename(second)
    assert (store.damage(NAME), store.damage(other)) == (f"it holds {other}", f"it holds {NAME}")


def test_a_file_is_read_once_for_its_digest_until_it_changes(store, monkeypatch):
    folder, read = write(store), []
    old = time.time() - 3600
    os.utime(folder / "file.txt", (old, old))
    monkeypatch.setattr("robustbench_pix.runs.manifest.SETTLED_SECONDS", -1.0)
    digest_of = hashlib.file_digest
    monkeypatch.setattr(hashlib, "file_digest", lambda *of: read.append(of) or digest_of(*of))
    assert [store.damage(NAME) for _ in range(3)] == [None] * 3
    assert len(read) == 1
    (folder / "file.txt").write_text("contenT and more")
    assert store.damage(NAME) == "file.txt has changed"
    assert len(read) == 2


def test_what_a_reader_does_to_a_specification_stays_with_it(store):
    write(store)
    store.spec(NAME)["identity"]["a"] = 7
    assert store.spec(NAME)["identity"]["a"] == 1


def test_progress_is_read_from_whoever_writes(store):
    with store.writing(NAME, SPEC) as scratch:
        (scratch / "progress").write_text("0.5")
        assert store.progress() == {NAME: 0.5}
    assert store.progress() == {}
    assert "progress" not in json.loads((store.folder(NAME) / "spec.json").read_text())["files"]


def test_a_full_disk_is_one_sentence(store):
    sentence = r"Could not write to .*No space left.*what was finished is kept"
    with pytest.raises(UserError, match=sentence), store.writing(NAME, SPEC):
        raise OSError(28, "No space left on device")


def test_a_file_that_is_missing_elsewhere_is_not_blamed_on_the_disk(store):
    with pytest.raises(FileNotFoundError), store.writing(NAME, SPEC):
        open("nowhere/at/all")  # noqa: SIM115, PTH123

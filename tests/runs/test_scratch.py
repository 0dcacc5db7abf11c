"""Who writes a scratch folder: processes of this kernel, in whatever namespace, and of others."""

import os
import subprocess
import sys
import time

import pytest

from robustbench_pix.runs import scratch as module
from robustbench_pix.runs.heartbeat import age_seconds
from robustbench_pix.runs.scratch import (
    ALONE,
    AT_ONCE,
    SHARED,
    Writer,
    fate,
    locked,
    scratch_name,
    writer,
)
from robustbench_pix.runs.store import Store

US = module._ourselves(os.getpid())


@pytest.fixture
def store(tmp_path):
    (tmp_path / "runs").mkdir()
    return Store(tmp_path / "runs")


@pytest.fixture
def dead_process():
    """Give the id of a process that has just ended."""
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return str(process.pid)


def left(store, **changed):
    """Make the scratch folder of a writer like this process but for some fields."""
    name = "~".join([".scratch-train-1", *US._replace(**changed), "01234567"])
    (store.root / name).mkdir()
    return store.root / name


def age(folder, seconds=3600):
    os.utime(folder, (time.time() - seconds,) * 2)


def test_the_name_says_who_writes(store):
    assert writer(store.root / scratch_name("train-1")) == US
    assert US.process == str(os.getpid())


def test_of_one_namespace_a_process_is_known_by_its_number_and_its_start(store, dead_process):
    assert fate(left(store)) == "written"
    assert fate(left(store, process=dead_process, start="1")) == "left"
    assert fate(left(store, start="1")) == "left"  # the number was given anew


def test_a_child_that_was_killed_leaves_a_folder_that_is_swept(store):
    code = (
        "import sys, time; from pathlib import Path; from robustbench_pix.runs.store import Store\n"
        "with Store(Path(sys.argv[1])).writing('train-1', {}) as scratch:\n"
        "    print(scratch, flush=True); time.sleep(60)\n"
    )
    process = subprocess.Popen([sys.executable, "-c", code, store.root], stdout=subprocess.PIPE, text=True)
    path = store.root / process.stdout.readline().strip().rpartition("/")[2]
    assert fate(path) == "written"
    assert store.sweep() == []
    process.kill()
    process.wait()
    assert store.sweep() == [path]
    assert store.scratches() == []


def test_another_namespace_of_processes_is_told_by_its_lock(store, dead_process):
    """Two containers on one disk: the same host name and numbers of processes that mean others here."""
    folder = left(store, process=dead_process, namespace="1")
    age(folder)
    with locked(folder, ALONE | AT_ONCE):
        assert fate(folder) == "written"
        assert store.sweep() == []
    assert fate(folder) == "left"
    fresh = left(store, process=dead_process, namespace="2")
    assert fate(fresh) == "unknown"  # it may be about to be locked
    assert store.sweep() == [folder]


def test_what_another_kernel_writes_is_told_by_its_heartbeat(store, dead_process):
    folder = left(store, process=dead_process, start="1", boot="of-another-kernel", host="elsewhere")
    fates = []
    for seconds in (0, 60, 600, 3500, 3700):
        age(folder, seconds)
        fates.append(fate(folder))
    assert fates == ["written", "written", "unknown", "unknown", "left"]
    assert store.sweep() == [folder]


def test_another_host_name_on_this_kernel_changes_nothing(store, dead_process):
    assert fate(left(store, host="renamed")) == "written"
    assert fate(left(store, host="renamed", process=dead_process, start="1")) == "left"


def test_a_process_that_has_ended_and_is_not_waited_for_is_dead(store):
    process = subprocess.Popen([sys.executable, "-c", ""])
    start = module._start(process.pid)
    assert start
    deadline = time.monotonic() + 60
    while module._start(process.pid) and time.monotonic() < deadline:
        time.sleep(0.01)
    assert fate(left(store, process=str(process.pid), start=start)) == "left"
    process.wait()


def test_a_scratch_folder_has_a_heartbeat_while_it_is_written(store, monkeypatch):
    monkeypatch.setattr("robustbench_pix.runs.heartbeat.BEAT_SECONDS", 0.01)
    with store.writing("train-0123456789abcdef", {"identity": {}}) as scratch:
        age(scratch)
        time.sleep(0.5)
        assert age_seconds(scratch) < 60


@pytest.mark.parametrize("name", [".scratch-x", ".scratch-", ".scratch-train-1~host~12~abc", ".scratch-a~b~c~d~e~f~g"])
def test_strange_names_break_nothing(store, name):
    (store.root / name).mkdir()
    assert (fate(store.root / name), writer(store.root / name)) == ("written", None)
    assert store.sweep() == []
    assert store.progress() == {}


def test_where_the_kernel_tells_nothing_the_number_must_do(store, monkeypatch, dead_process):
    monkeypatch.setattr(module, "_ourselves", lambda process: Writer("mac", "1", "", "", ""))
    monkeypatch.setattr(module, "Path", lambda path: store.root / "no-proc")
    assert fate(left(store, host="mac", process=dead_process, boot="", namespace="", start="")) == "left"
    assert fate(left(store, host="mac", process=str(os.getpid()), boot="", namespace="", start="")) == "written"


def test_locks_are_shared_or_alone_and_nothing_where_there_is_no_folder(tmp_path):
    with locked(tmp_path, SHARED) as first, locked(tmp_path, SHARED) as second:
        assert first
        assert second
        with locked(tmp_path, ALONE | AT_ONCE) as third:
            assert third is False
    with locked(tmp_path, ALONE | AT_ONCE) as alone:
        assert alone
    with locked(tmp_path / "nowhere", ALONE) as nothing:
        assert nothing is None

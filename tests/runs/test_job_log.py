"""The log of a worker: what is in it, under which job, and that it never gets in the way."""

import logging
import os
import threading
import time
import warnings
from pathlib import Path

import pytest

from robustbench_pix.errors import JobFailedError
from robustbench_pix.runs import job_log as module
from robustbench_pix.runs import worker
from robustbench_pix.runs.job_log import KEPT_SECONDS, LEVEL, job_log
from robustbench_pix.runs.store import Store
from tests.runs.test_scheduling import training

LIBRARY = logging.getLogger("library.of.others")


@pytest.fixture
def runs(tmp_path):
    (tmp_path / "runs").mkdir()
    return tmp_path / "runs"


def lines(runs):
    return [line[20:] for path in sorted((runs.parent / "logs").iterdir()) for line in path.read_text().splitlines()]


def steps(*texts):
    for text in texts:
        LIBRARY.warning(text)
        yield


def carried_out(log, *jobs):
    """Take the steps of jobs in turn."""
    left = [log.steps(title, work) for title, work in jobs]
    while left:
        left = [one for one in left if next(one, "ended") != "ended"]


def test_each_job_begins_and_ends_under_its_title_and_a_traceback_too(runs, monkeypatch, capsys):
    def work(job, store, scratch, device):
        yield
        if job.identity.seed:
            raise JobFailedError("no luck") from ValueError("the cause")

    monkeypatch.setattr(worker, "_do", work)
    assert worker.execute([training(0), training(1)], Store(runs), "cpu") == {training(1).name: "no luck"}
    first, second, third, fourth, *rest = lines(runs)
    assert first == "INFO    [train 0] begins on cpu"
    assert second.startswith("INFO    [train 0] is done after 0.0")
    assert third == "INFO    [train 1] begins on cpu"
    assert fourth.startswith("ERROR   [train 1] failed after 0.0")
    assert fourth.endswith(" s: no luck")
    assert all(line.startswith("ERROR   [train 1] ") for line in rest)
    assert rest[-1] == "ERROR   [train 1] ValueError: the cause"
    assert capsys.readouterr().err == ""


def test_what_ends_a_worker_is_told(runs, monkeypatch):
    monkeypatch.setattr(worker, "_do", lambda *_: iter([1 / 0]))
    with pytest.raises(ZeroDivisionError):
        worker.execute([training(0)], Store(runs), "cpu")
    assert lines(runs)[1] == "ERROR   [train 0] ended the worker: division by zero"


def test_jobs_side_by_side_keep_their_lines_apart(runs):
    with job_log(runs) as log:
        carried_out(log, ("a", steps("one", "two")), ("b", steps("three", "four")))
    assert lines(runs) == [
        f"WARNING [{job}] {text}" for job, text in zip("abab", ["one", "three", "two", "four"], strict=True)
    ]


def test_threads_keep_their_lines_apart(runs):
    together = threading.Barrier(2)

    def work():
        together.wait()
        yield from steps(*[threading.current_thread().name] * 20)

    def do():
        with job_log(runs) as log:
            carried_out(log, (threading.current_thread().name, work()))

    threads = [threading.Thread(target=do, name=name) for name in ("a", "b")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(lines(runs)) == ["WARNING [a] a"] * 20 + ["WARNING [b] b"] * 20


def test_warnings_go_to_the_log_and_where_they_went_before(runs, capsys):
    before = warnings.showwarning, logging.getLogger().handlers[:]

    def work():
        warnings.warn("a warning", DeprecationWarning, stacklevel=1)
        logging.getLogger("robustbench_pix.x").warning("ours")
        yield

    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        with job_log(runs) as log:
            carried_out(log, ("a", work()))
            warnings.warn("outside", stacklevel=1)
            LIBRARY.warning("outside")
    assert [str(one.message) for one in told] == ["a warning", "outside"]
    first, second = lines(runs)
    assert first.startswith("WARNING [a] DeprecationWarning of ")
    assert first.endswith("a warning")
    assert second == "WARNING [a] ours"
    assert (warnings.showwarning, logging.getLogger().handlers) == before


def test_standard_error_has_what_nobody_else_hears(runs, capsys, monkeypatch):
    monkeypatch.setattr(logging.getLogger(), "handlers", [])
    with job_log(runs) as log:
        carried_out(log, ("a", steps("a warning")))
        monkeypatch.setattr(LIBRARY, "handlers", [logging.NullHandler()])
        carried_out(log, ("a", steps("heard")))
    assert capsys.readouterr().err == "a warning\n"


@pytest.mark.parametrize(
    ("level", "expected"), [("debug", 3), ("info", 2), ("nonsense", 2), ("warning", 1), ("error", 0)]
)
def test_the_level_says_what_is_kept(runs, monkeypatch, level, expected):
    monkeypatch.setenv(LEVEL, level)
    before = logging.getLogger().level

    def work():
        log.say(logging.INFO, "begins")
        LIBRARY.debug("detail")
        LIBRARY.warning("careful")
        yield

    with job_log(runs) as log:
        carried_out(log, ("a", work()))
    assert len(lines(runs)) == expected
    assert logging.getLogger().level == before


def test_a_log_that_cannot_be_written_is_left_out(runs, capsys):
    (runs.parent / "logs").write_text("not a folder")
    with job_log(runs) as log:
        carried_out(log, ("a", steps("lost")))
    assert "Traceback" not in capsys.readouterr().err


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no /dev/full here")
def test_a_full_disk_ends_no_job(runs, capsys, monkeypatch):
    with job_log(runs) as log:
        log.baseFilename = "/dev/full"
        carried_out(log, ("a", steps("lost", "lost")))
    assert "Traceback" not in capsys.readouterr().err


def test_a_log_is_bounded_and_old_ones_go(runs, monkeypatch):
    monkeypatch.setattr(module, "BYTES_OF_A_FILE", 1000)
    folder = runs.parent / "logs"
    folder.mkdir()
    for name, age in {"old.log": KEPT_SECONDS + 60, "old.log.1": KEPT_SECONDS + 60, "young.log": 60}.items():
        (folder / name).touch()
        os.utime(folder / name, (time.time() - age,) * 2)
    with job_log(runs) as log:
        carried_out(log, ("a", steps(*["x" * 100] * 50)))
    assert len(list(folder.iterdir())) == 3
    assert (folder / "young.log").exists()
    assert sum(path.stat().st_size for path in folder.iterdir()) <= 2000

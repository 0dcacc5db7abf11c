"""Clients and claims: who is at work on a store, and which job is whose."""

import json
import os
import subprocess
import sys
import threading
import time
from collections import Counter
from concurrent.futures import Future
from pathlib import Path

import pytest

from robustbench_pix.runs import claims as module
from robustbench_pix.runs.claims import Claims, claimed, forget_dead_claims, holder, is_held
from robustbench_pix.runs.clients import CLEAN, RUN, at_work, forget_dead, living, wait_for_cleaners
from robustbench_pix.runs.scratch import ourselves
from tests.runs.test_scheduling import Recording, Watcher, attack, carried_out, training


def stranger(root, name="stranger", **changed):
    """Write the file of a client like this process but for some fields of it."""
    process = ourselves()._replace(**changed)
    (root / ".clients").mkdir(exist_ok=True)
    path = root / ".clients" / f"{name}.json"
    path.write_text(json.dumps({"purpose": RUN, "process": process, "facts": {}}))
    return path


@pytest.fixture
def dead_process():
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return str(process.pid)


def names(root):
    return [client.name for client in living(root)]


def test_a_client_is_seen_while_it_is_at_work(tmp_path):
    with at_work(tmp_path, RUN, {"jobs": 3}) as client:
        assert living(tmp_path) == [client]
        assert client.facts == {"jobs": 3}
        assert client.where.startswith(f"process {os.getpid()} on ")
    assert living(tmp_path) == []


def test_a_neighbour_that_is_dead_is_known_to_be_at_once(tmp_path, dead_process):
    stranger(tmp_path, process=dead_process, start="1")
    assert names(tmp_path) == []
    forget_dead(tmp_path)
    assert not list((tmp_path / ".clients").iterdir())


@pytest.mark.parametrize("other", [{"boot": "another"}, {"namespace": "1"}])
def test_whoever_is_of_another_kernel_or_namespace_lives_by_its_heartbeat(tmp_path, other, dead_process):
    path = stranger(tmp_path, process=dead_process, **other)
    assert names(tmp_path) == ["stranger"]
    os.utime(path, (time.time() - 60,) * 2)
    assert names(tmp_path) == ["stranger"]
    forget_dead(tmp_path)
    os.utime(path, (time.time() - 100,) * 2)
    assert names(tmp_path) == []


@pytest.mark.parametrize(
    "text", ["", "{", "[]", '{"purpose": "run"}', '{"purpose": "run", "process": [1], "facts": {}}']
)
def test_strange_files_break_nothing(tmp_path, text):
    (tmp_path / ".clients").mkdir()
    path = tmp_path / ".clients/x.json"
    path.write_text(text)
    assert living(tmp_path) == []
    forget_dead(tmp_path)
    assert path.exists(), "it may be half written"
    os.utime(path, (0, 0))
    forget_dead(tmp_path)
    assert not path.exists()


def test_a_job_has_one_client(tmp_path):
    with at_work(tmp_path, RUN) as one, at_work(tmp_path, RUN) as other:
        ours, theirs = Claims(tmp_path, one), Claims(tmp_path, other)
        assert ours.take("train-1")
        assert ours.take("train-1")
        assert not theirs.take("train-1")
        assert theirs.is_elsewhere("train-1")
        assert not ours.is_elsewhere("train-1")
        theirs.release("train-1")
        assert claimed(tmp_path) == {"train-1": one.name}
        ours.release_all()
        assert theirs.take("train-1")
    assert not is_held(tmp_path, "train-1"), "its client works no more"


def test_the_claim_of_a_dead_client_goes_to_the_next(tmp_path, dead_process):
    path = stranger(tmp_path, boot="another")
    (tmp_path / ".claim-train-1").write_text("stranger")
    with at_work(tmp_path, RUN) as client:
        claims = Claims(tmp_path, client)
        assert not claims.take("train-1")
        os.utime(path, (time.time() - 100,) * 2)
        assert claims.take("train-1")
        assert holder(tmp_path, "train-1") == client.name
        assert not list(tmp_path.glob(".dead-claim-*"))


def test_a_claim_without_a_name_counts_for_a_while(tmp_path):
    path = tmp_path / ".claim-train-1"
    path.touch()
    with at_work(tmp_path, RUN) as client:
        claims = Claims(tmp_path, client)
        assert not claims.take("train-1")
        os.utime(path, (time.time() - 100,) * 2)
        assert claims.take("train-1")


def test_a_claim_made_while_another_was_judged_is_put_back(tmp_path):
    (tmp_path / ".claim-train-1").write_text("a client that lives")
    module._forget(tmp_path, "train-1", "the dead one")
    assert holder(tmp_path, "train-1") == "a client that lives"
    module._forget(tmp_path, "train-1", "a client that lives")
    assert holder(tmp_path, "train-1") is None


def test_dead_claims_are_forgotten_and_no_others(tmp_path):
    (tmp_path / ".claim-train-1").write_text("nobody")
    with at_work(tmp_path, RUN) as client:
        Claims(tmp_path, client).take("train-2")
        forget_dead_claims(tmp_path)
        assert list(claimed(tmp_path)) == ["train-2"]


def test_of_many_that_want_a_job_one_has_it(tmp_path):
    won = []
    with at_work(tmp_path, RUN) as one, at_work(tmp_path, RUN) as other:
        clients = [Claims(tmp_path, client) for client in (one, other)]
        jobs = [f"train-{number}" for number in range(300)]
        for number in (0, 100, 200):
            (tmp_path / f".claim-train-{number}").write_text("nobody")

        def work(claims):
            won.extend((job, claims.client.name) for job in jobs if claims.take(job))

        threads = [threading.Thread(target=work, args=(claims,)) for claims in clients]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert Counter(job for job, _ in won) == dict.fromkeys(jobs, 1)


class Slow(Recording):
    """Lets something happen before a job is done."""

    def __init__(self, before):
        super().__init__()
        self.before = before

    def submit(self, fn, jobs, root):
        self.before(jobs)
        return super().submit(fn, jobs, root)


def test_what_another_client_does_is_waited_for(tmp_path, monkeypatch):
    monkeypatch.setattr("robustbench_pix.runs.scheduler.LOOK_SECONDS", 0.0)
    train = training(0)
    jobs, watcher = [train, attack(train), training(1)], Watcher()
    with at_work(tmp_path, RUN) as other:
        theirs = Claims(tmp_path, other)
        theirs.take(train.name)

        def finish(jobs):
            if jobs[0].title == "train 1":
                (tmp_path / train.name).mkdir()

        executor = Slow(finish)
        assert carried_out(jobs, tmp_path, executor, watcher, slots=1) == {}
        assert executor.submitted == [["train 1"], ["attack 0"]]
        assert watcher.told == dict.fromkeys(["train 0", "attack 0", "train 1"])


def test_what_another_client_leaves_is_done_here(tmp_path, monkeypatch):
    monkeypatch.setattr("robustbench_pix.runs.scheduler.LOOK_SECONDS", 0.0)
    jobs = [training(0), training(1)]
    path = stranger(tmp_path, boot="another")
    (tmp_path / f".claim-{jobs[0].name}").write_text("stranger")
    executor = Slow(lambda jobs: path.unlink(missing_ok=True))
    assert carried_out(jobs, tmp_path, executor, Watcher(), slots=1) == {}
    assert executor.submitted == [["train 1"], ["train 0"]]
    assert claimed(tmp_path) == {}


def test_a_run_waits_for_cleaners(tmp_path):
    with at_work(tmp_path, CLEAN):
        waiting = threading.Thread(target=wait_for_cleaners, args=(tmp_path,))
        waiting.start()
        waiting.join(0.5)
        assert waiting.is_alive()
    waiting.join(10)
    assert not waiting.is_alive()


class Elsewhere(Recording):
    """Says that jobs are done whose folders are seen here after a while, or never."""

    def __init__(self, after_seconds):
        super().__init__()
        self.after_seconds = after_seconds

    def submit(self, fn, jobs, root):
        for job in jobs:
            if self.after_seconds is not None:
                threading.Timer(self.after_seconds, lambda name=job.name: Path(root, name).mkdir()).start()
        future = Future()
        future.set_result({})
        self.submitted.append([job.title for job in jobs])
        return future


def test_what_another_machine_wrote_is_waited_for_until_it_is_seen(tmp_path, monkeypatch):
    monkeypatch.setattr("robustbench_pix.runs.scheduler.LOOK_SECONDS", 0.0)
    train = training(0)
    jobs, executor = [train, attack(train)], Elsewhere(0.3)
    began = time.monotonic()
    assert carried_out(jobs, tmp_path, executor, Watcher(), slots=2) == {}
    assert time.monotonic() - began > 0.6
    assert executor.submitted == [["train 0"], ["attack 0"]]


def test_what_is_never_seen_has_failed_and_says_why(tmp_path, monkeypatch):
    monkeypatch.setattr("robustbench_pix.runs.scheduler.LOOK_SECONDS", 0.0)
    monkeypatch.setattr("robustbench_pix.runs.scheduler.UNSEEN_SECONDS", 0.2)
    (reason,) = carried_out([training(0)], tmp_path, Elsewhere(None), Watcher(), slots=1).values()
    assert "let all workers share the disk of the workspace" in reason


def test_where_the_disk_hides_news_the_claim_of_a_finished_job_stays_a_while(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "hides_news", lambda root: True)
    with at_work(tmp_path, RUN) as one:
        Claims(tmp_path, one).take("train-1")
        ours = Claims(tmp_path, one)
        ours.finish("train-1")
    assert claimed(tmp_path) == {"train-1": "done"}
    with at_work(tmp_path, RUN) as other:
        theirs = Claims(tmp_path, other)
        forget_dead_claims(tmp_path)
        assert not theirs.take("train-1")
        os.utime(tmp_path / ".claim-train-1", (time.time() - 100,) * 2)
        assert theirs.take("train-1")
        theirs.finish("train-1")
        monkeypatch.setattr(module, "HIDDEN_SECONDS", -1.0)
        theirs.finish("train-2")
    assert claimed(tmp_path) == {}


@pytest.mark.parametrize(
    ("mounts", "hides"),
    [
        ("overlay / overlay rw 0 0", False),
        ("overlay / overlay rw 0 0\nserver:/home {place} nfs4 rw 0 0", True),
        ("server:/ / nfs4 rw 0 0\n/dev/sda1 {place} xfs rw 0 0", False),
        ("", False),
    ],
)
def test_file_systems_of_one_machine_hide_nothing(tmp_path, monkeypatch, mounts, hides):
    table = tmp_path / "mounts"
    place = tmp_path / "with space"
    place.mkdir()
    table.write_text(mounts.format(place=str(place).replace(" ", "\\040")))
    real = Path
    monkeypatch.setattr(module, "Path", lambda path: table if path == "/proc/self/mounts" else real(path))
    assert module.hides_news(place) is hides

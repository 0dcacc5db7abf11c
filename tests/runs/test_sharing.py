"""A store that others use too: what a run does of what they do, have done, or left."""

import threading
import time

import pytest

from robustbench_pix.runs import claims as claims_module
from robustbench_pix.runs.claims import Claims, claimed
from robustbench_pix.runs.clients import CLEAN, RUN, at_work
from robustbench_pix.runs.planner import Plan
from robustbench_pix.runs.progress import Watcher
from robustbench_pix.runs.request import Resources
from robustbench_pix.runs.runner import complete
from robustbench_pix.runs.scheduler import carry_out
from robustbench_pix.runs.store import Store
from tests.runs.test_scheduling import Recording, carried_out, training
from tests.runs.test_scheduling import Watcher as Listener

INLINE = Resources(executor="inline", device="cpu")


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path)


def do(store, *jobs):
    return complete(Plan({job.name: job for job in jobs}), store, INLINE, Watcher())


def write(store, job):
    with store.writing(job.name, job.manifest) as scratch:
        (scratch / "file").write_text("whole")


def damage(store, job):
    write(store, job)
    (store.folder(job.name) / "file").write_text("changed")


def test_a_run_waits_until_nobody_cleans(store):
    job, cleaned = training(0), threading.Event()

    def clean():
        with at_work(store.root, CLEAN):
            begun.set()
            time.sleep(0.6)
            assert not store.has(job.name)
            cleaned.set()

    begun = threading.Event()
    cleaning = threading.Thread(target=clean)
    cleaning.start()
    begun.wait()
    assert do(store, job) == {}
    assert cleaned.is_set()
    cleaning.join()
    assert store.has(job.name)


def test_a_run_forgets_claims_of_the_dead(store):
    (store.root / ".claim-train-1").write_text("nobody")
    do(store, training(0))
    assert claimed(store.root) == {}


def test_a_damaged_run_is_made_again_unless_another_client_does(store):
    ours, theirs = training(0), training(1)
    for job in (ours, theirs):
        damage(store, job)
    with at_work(store.root, RUN) as other:
        Claims(store.root, other).take(theirs.name)
        assert do(store, ours, theirs) == {}
    assert store.damage(ours.name) is None
    assert (store.folder(theirs.name) / "file").read_text() == "changed"


def test_what_another_client_removed_first_is_no_error(store, monkeypatch):
    job, take = training(0), Claims.take

    def late(self, name):
        taken = take(self, name)
        if store.has(name):
            store.remove(name)
        return taken

    damage(store, job)
    monkeypatch.setattr(Claims, "take", late)
    assert do(store, job) == {}
    assert store.damage(job.name) is None


def test_what_another_client_finished_before_the_claim_is_not_done_again(store, monkeypatch):
    job, take = training(0), Claims.take

    def late(self, name):
        write(store, job)
        return take(self, name)

    monkeypatch.setattr(Claims, "take", late)
    executor, listener = Recording(), Listener()
    with at_work(store.root, RUN) as client:
        claims = Claims(store.root, client)
        assert carry_out([job], store, executor, listener, claims, slots=lambda: 1) == {}
    assert (executor.submitted, listener.told) == ([], {"train 0": None})
    assert claimed(store.root) == {}


def test_where_the_disk_hides_news_a_run_leaves_word_of_what_it_finished(store, monkeypatch):
    monkeypatch.setattr(claims_module, "hides_news", lambda root: True)
    jobs = [training(0), training(1)]
    carried_out(jobs, store.root, Recording({"train 1"}), Listener(), slots=1)
    assert claimed(store.root) == {jobs[0].name: "done"}

"""What is submitted together, and what becomes of a submission in which one job fails."""

import time
from concurrent.futures import Executor, Future
from dataclasses import replace
from pathlib import Path

import pytest

from robustbench_pix.runs import worker
from robustbench_pix.runs.claims import Claims
from robustbench_pix.runs.clients import RUN, at_work
from robustbench_pix.runs.identities import Identity
from robustbench_pix.runs.job import Context, Job
from robustbench_pix.runs.scheduler import carry_out
from robustbench_pix.runs.store import Store


def test_each_job_of_a_submission_states_its_own_seconds(tmp_path, monkeypatch):
    now = [100.0]

    def work(job, store, scratch, device):
        now[0] += 1.0 + job.identity.seed
        yield

    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    monkeypatch.setattr(worker, "_do", work)
    store, trainings = Store(tmp_path), [training(number) for number in range(3)]
    assert worker.execute(trainings, store, "cpu") == {}
    assert [store.spec(job.name)["seconds"] for job in trainings] == [1.0, 2.0, 3.0]


class Recording(Executor):
    """Does nothing but note what was submitted and make its folders; jobs named in ``bad`` fail."""

    def __init__(self, bad=()):
        self.bad, self.submitted = bad, []

    def submit(self, fn, jobs, root):
        self.submitted.append([job.title for job in jobs])
        future = Future()
        for job in jobs:
            if job.title not in self.bad:
                Path(root, job.name).mkdir()
        future.set_result({job.name: "no luck" for job in jobs if job.title in self.bad})
        return future


class Watcher:
    def __init__(self):
        self.told = {}

    def finished(self, job, reason):
        self.told[job.title] = reason

    def tick(self, running):
        pass


class Numbered(Identity):
    seed: int


def training(number):
    return Job(Numbered(kind="train", seed=number), Context(title=f"train {number}"))


def attack(of):
    return Job(Numbered(kind="attack", seed=of.identity.seed), Context(title=f"attack {of.title[-1]}"), (of.name,))


@pytest.fixture
def jobs():
    trainings = [training(number) for number in range(5)]
    return [job for model in trainings for job in (model, attack(model))]


def carried_out(jobs, root, executor, watcher, *, slots, **how):
    with at_work(root, RUN) as client:
        return carry_out(jobs, Store(root), executor, watcher, Claims(root, client), slots=lambda: slots, **how)


def submissions(jobs, tmp_path, bad=(), **how):
    executor, watcher = Recording(bad), Watcher()
    failed = carried_out(jobs, tmp_path, executor, watcher, **how)
    return executor.submitted, watcher.told, failed


def test_alone_each_job_is_a_submission(jobs, tmp_path):
    submitted, told, failed = submissions(jobs, tmp_path, slots=1)
    assert submitted[:2] == [["train 0"], ["attack 0"]]
    assert all(len(titles) == 1 for titles in submitted)
    assert sorted(told) == sorted(job.title for job in jobs)
    assert not failed


def test_trainings_go_together_and_attacks_alone(jobs, tmp_path):
    submitted, _, _ = submissions(jobs, tmp_path, slots=1, together=3)
    assert submitted[0] == ["train 0", "train 1", "train 2"]
    assert ["train 3", "train 4"] in submitted
    assert sorted(titles for titles in submitted if "attack" in titles[0]) == [[f"attack {k}"] for k in range(5)]


def test_several_workers_share_the_trainings(jobs, tmp_path):
    submitted, _, _ = submissions(jobs, tmp_path, slots=2, together=7)
    assert submitted[:2] == [["train 0", "train 1", "train 2"], ["train 3", "train 4"]]


def test_the_last_training_does_not_wait_for_attacks(tmp_path):
    attacks = [replace(attack(training(number)), needs=()) for number in range(5, 8)]
    jobs = [training(0), *attacks, training(1)]
    submitted, told, _ = submissions(jobs, tmp_path, slots=2)
    assert submitted[:3] == [["train 0"], ["train 1"], ["attack 5"]]
    assert len(told) == 5
    (tmp_path / "again").mkdir()
    submitted, _, _ = submissions(jobs, tmp_path / "again", slots=1)
    assert submitted[1] == ["attack 5"]


def test_one_failure_in_a_submission_takes_its_own_attacks_along_and_no_others(jobs, tmp_path):
    submitted, told, failed = submissions(jobs, tmp_path, slots=1, together=5, bad={"train 1"})
    assert ["attack 1"] not in submitted
    assert {title for title, reason in told.items() if reason} == {"train 1", "attack 1"}
    assert set(failed.values()) == {"no luck"}
    assert len(failed) == 2

"""What became of the jobs of a workspace, told from its files alone."""

import os

import pytest

from robustbench_pix.identity import RECORD_VERSION
from robustbench_pix.runs.claims import Claims
from robustbench_pix.runs.clients import RUN, at_work
from robustbench_pix.runs.failures import forget, forget_all, note, noted
from robustbench_pix.runs.job import Context, Job
from robustbench_pix.runs.plan_store import SETTING, PlannedRow, PlannedRun, save_plan
from robustbench_pix.runs.status import Failed, Running, status_of
from robustbench_pix.runs.store import PROGRESS, Store
from robustbench_pix.runs.typical_seconds import READ, TypicalSeconds
from tests.runs.test_claims import stranger
from tests.runs.test_scheduling import Numbered, Recording, Watcher, carried_out, training

FACTS = dict.fromkeys(SETTING, "x") | {
    **{"suite_version": 1, "task": "digits", "regularization_data": "natural", "size": "reduced"},
    **{"task_hash": "t", "suite_hash": "s", "recipe_hash": "r", "recipe": "pixel"},
    **{"attacks": "noise,blur", "seed_list": "0,1,2"},
}


class Recorded(Numbered):
    record: int = RECORD_VERSION


def attack(name, of):
    identity = Recorded(kind="attack", seed=10 * of.identity.seed + len(name))
    return Job(identity, Context(title=f"{name} {of.identity.seed}"), (of.name,))


TRAININGS = [training(number) for number in range(3)]
ATTACKS = {(name, model.identity.seed): attack(name, model) for model in TRAININGS for name in ("noise", "blur")}


@pytest.fixture
def store(tmp_path):
    """Give a store with the plan of three models under two attacks."""
    runs = [PlannedRun(seed, name, TRAININGS[seed].name, job.name) for (name, seed), job in ATTACKS.items()]
    save_plan([PlannedRow(FACTS, tuple(runs))], Store(tmp_path))
    return Store(tmp_path)


def finish(store, job, seconds):
    spec = dict(job.manifest)
    with store.writing(job.name, spec):
        spec["seconds"] = seconds


def test_jobs_are_done_or_wait_and_the_time_left_is_that_of_others_like_them(store):
    for number, seconds in enumerate((10.0, 30.0)):
        finish(store, TRAININGS[number], seconds)
    for number, seconds in enumerate((4.0, 1.0, 2.0)):
        finish(store, ATTACKS["noise", number], seconds)
    found = status_of(store)
    assert found.jobs == {"done": 5, "running": 0, "waiting": 4, "failed": 0}
    assert [(row["recipe"], row["on"], row["done"], row["waiting"]) for row in found.rows] == [
        ("pixel", "digits:natural", 5, 4)
    ]
    assert (found.seconds, found.unknown, found.seconds_left) == (20.0, 3, None)
    finish(store, ATTACKS["blur", 0], 7.0)
    assert (status_of(store).seconds, status_of(store).unknown) == (20.0 + 2 * 7.0, 0)


def test_what_is_written_runs_where_it_is_written_and_its_fraction_is_taken_off(store):
    finish(store, TRAININGS[0], 10.0)
    with store.writing(TRAININGS[1].name, {}) as scratch:
        (scratch / PROGRESS).write_text("0.2500\ntrain pixel")
        found = status_of(store)
    assert [job[1:2] + job[3:] for job in found.running] == [("train pixel", str(os.getpid()), 0.25)]
    assert found.jobs["running"] == 1
    assert found.seconds_left == 7.5 + 10.0


def test_the_time_left_is_shared_by_the_jobs_that_run(store):
    finish(store, TRAININGS[0], 10.0)
    with store.writing(TRAININGS[1].name, {}), store.writing(TRAININGS[2].name, {}):
        assert status_of(store).seconds_left == (10.0 + 10.0) / 2


def test_what_a_client_claims_runs_though_nothing_is_written_here(store):
    with at_work(store.root, RUN, {"jobs": 1, "executor": "processes"}) as client:
        claims = Claims(store.root, client)
        assert claims.take(ATTACKS["blur", 2].name)
        found = status_of(store)
        title = "blur on pixel, digits:natural, reduced, seed 2"
        name, here = ATTACKS["blur", 2].name, client.process
        assert found.running == [Running(name, title, here.host, here.process, None)]
        assert found.clients == [client]
        claims.release_all()
        assert status_of(store).running == []


def test_another_machine_sees_a_run_by_its_heartbeat(store):
    path = stranger(store.root, host="far", boot="another")
    (store.root / f".claim-{TRAININGS[0].name}").write_text("stranger")
    assert [(job.title, job.host) for job in status_of(store).running] == [
        ("train pixel on digits:natural, reduced, seed 0", "far")
    ]
    os.utime(path, (0, 0))
    assert status_of(store).running == []


def test_reasons_are_told_during_a_run_and_once_it_was_killed(store):
    jobs = [TRAININGS[0], ATTACKS["noise", 0], TRAININGS[1]]
    carried_out(jobs, store.root, Recording({"train 0"}), Watcher(), slots=1)
    names = [TRAININGS[0].name, ATTACKS["noise", 0].name]
    (told,) = status_of(store).failed
    assert (sorted(told.jobs), told.reason) == (sorted(names), "no luck")
    assert status_of(store).jobs["failed"] == 2
    finish(store, TRAININGS[0], 1.0)
    assert status_of(store).failed == [Failed("noise 0", names[1:], "no luck")]
    forget(store.root, names[1:])
    assert status_of(store).failed == []
    assert noted(store.root)


def test_reasons_that_a_plan_keeps_are_told(tmp_path):
    run = PlannedRun(0, "noise", TRAININGS[0].name, ATTACKS["noise", 0].name)
    save_plan([PlannedRow(FACTS, (run,), {run.run: "no luck"})], Store(tmp_path))
    assert status_of(Store(tmp_path)).failed == [
        Failed("noise on pixel, digits:natural, reduced, seed 0", [run.run], "no luck")
    ]


def test_strange_files_among_the_reasons_are_passed_over(tmp_path):
    note(tmp_path, TRAININGS[0], "no luck")
    for name, text in {"a": "", "b": "[1", "c": '["x"]', ".half": "["}.items():
        (tmp_path / ".failed" / name).write_text(text)
    assert list(noted(tmp_path)) == [TRAININGS[0].name]
    forget_all(tmp_path)
    assert noted(tmp_path) == {}


def test_a_few_finished_jobs_of_a_group_are_read(tmp_path, monkeypatch):
    read = []
    monkeypatch.setattr(Store, "fault", lambda self, name: "damaged" if name == "bad" else None)
    monkeypatch.setattr(Store, "spec", lambda self, name: read.append(name) or {"seconds": float(name)})
    typical = TypicalSeconds(Store(tmp_path))
    for name in ("bad", *map(str, range(2 * READ))):
        typical.learn("group", name)
    assert len(read) == READ
    assert typical.of("group") == (READ - 1) / 2
    assert typical.of("other") is None
    assert typical.of_all({"group": 3, "other": 2}) == (3 * (READ - 1) / 2, 2)

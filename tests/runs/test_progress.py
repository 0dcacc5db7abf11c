"""The bar of all jobs counts typical seconds, not jobs."""

import io

import pytest
from rich.console import Console

from robustbench_pix.runs.progress import BarWatcher
from robustbench_pix.runs.store import PROGRESS, Store
from tests.runs.test_scheduling import training
from tests.runs.test_status import attack, finish


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path)


@pytest.fixture
def watcher(store):
    return BarWatcher(Console(file=io.StringIO()), store)


def shown(watcher):
    return watcher.progress.tasks[0].percentage


def test_jobs_count_equally_until_one_is_finished_and_then_by_their_seconds(store, watcher):
    trainings = [training(number) for number in range(2)]
    attacks = [attack("noise", of) for of in trainings]
    watcher.started([*trainings, *attacks], [])
    watcher.finished(attacks[0], "no luck")
    assert shown(watcher) == 25
    finish(store, trainings[0], 9.0)
    watcher.finished(trainings[0], None)
    assert shown(watcher) == 50
    finish(store, attacks[1], 1.0)
    watcher.finished(attacks[1], None)
    assert shown(watcher) == pytest.approx(100 * (9 + 1 + 1) / (9 + 9 + 1 + 1))
    watcher.finished(trainings[1], "no luck")
    assert shown(watcher) == 100


def test_what_was_finished_before_tells_the_seconds_and_what_runs_moves_the_bar(store, watcher):
    kept, job, other = training(0), training(1), attack("noise", training(2))
    finish(store, kept, 6.0)
    finish(store, other, 2.0)
    watcher.started([job, attack("blur", job)], [kept, other])
    with store.writing(job.name, {}) as scratch:
        (scratch / PROGRESS).write_text("0.5000\ntrain")
        watcher.tick([job])
    assert [round(task.percentage) for task in watcher.progress.tasks] == [round(100 * 3 / 8), 50]


def test_jobs_of_no_time_divide_by_nothing(store, watcher):
    finish(store, training(0), 0.0)
    watcher.started([training(1)], [training(0)])
    watcher.finished(training(1), "no luck")
    assert shown(watcher) == 100

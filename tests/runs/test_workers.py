"""Worker processes live and die apart, need no semaphores, and say why they cannot start."""

import os
import signal
import tempfile
from concurrent.futures import Future
from pathlib import Path

import pytest

from robustbench_pix.errors import UserError
from robustbench_pix.runs import worker_process
from robustbench_pix.runs.executors import ProcessExecutor, WorkerDiedError, processes
from tests.runs.test_scheduling import Recording, Watcher, attack, carried_out, training


class Dying(Recording):
    """The worker dies under the jobs named in ``bad``, so many times each."""

    def submit(self, fn, jobs, root):
        self.submitted.append([job.title for job in jobs])
        future = Future()
        for job in jobs:
            if self.bad.get(job.title, 0):
                self.bad[job.title] -= 1
                future.set_exception(WorkerDiedError("was ended by SIGKILL"))
                return future
        for job in jobs:
            Path(root, job.name).mkdir()
        future.set_result({})
        return future


def carried(bad, tmp_path, **how):
    trainings = [training(number) for number in range(3)]
    jobs = [*trainings, *map(attack, trainings)]
    executor, watcher = Dying(bad), Watcher()
    return executor.submitted, watcher.told, carried_out(jobs, tmp_path, executor, watcher, **how)


def test_a_job_whose_worker_dies_is_tried_once_more(tmp_path):
    submitted, told, failed = carried({"train 1": 1}, tmp_path, slots=1)
    assert submitted.count(["train 1"]) == 2
    assert not failed
    assert len(told) == 6
    assert not any(told.values())


def test_after_a_second_death_the_others_go_on(tmp_path):
    submitted, told, failed = carried({"train 1": 9}, tmp_path, slots=2)
    assert submitted.count(["train 1"]) == 2
    assert set(failed.values()) == {"its worker process was ended by SIGKILL, twice"}
    assert {title for title, reason in told.items() if reason} == {"train 1", "attack 1"}
    assert len(told) == 6


def test_several_deaths_that_are_told_at_once_count_each(tmp_path, monkeypatch):
    def died(how):
        return Death(how, times=4)

    Death = WorkerDiedError  # noqa: N806
    monkeypatch.setattr("tests.runs.test_workers.WorkerDiedError", died)
    submitted, _, failed = carried({"train 1": 9}, tmp_path, slots=2, deaths=3)
    assert submitted.count(["train 1"]) == 1
    assert set(failed.values()) == {"its worker process was ended by SIGKILL, 4 times"}


@pytest.mark.parametrize(
    ("times", "submissions", "said"), [(3, 1, ", three times"), (4, 1, ", 4 times"), (2, 2, ", 4 times")]
)
def test_deaths_that_another_scheduler_has_seen_count(tmp_path, times, submissions, said):
    class Dead(Recording):
        def submit(self, fn, jobs, root):
            self.submitted.append([job.title for job in jobs])
            future = Future()
            future.set_exception(WorkerDiedError("ended in the middle", times=times))
            return future

    executor = Dead()
    failed = carried_out([training(0)], tmp_path, executor, Watcher(), slots=1, deaths=3)
    assert len(executor.submitted) == submissions
    assert list(failed.values()) == [f"its worker process ended in the middle{said}"]


def test_trainings_side_by_side_are_tried_again_alone(tmp_path):
    submitted, told, _ = carried({"train 1": 2}, tmp_path, slots=1, together=3)
    assert submitted[0] == ["train 0", "train 1", "train 2"]
    assert submitted[1:4] == [["train 0"], ["train 1"], ["train 2"]]
    assert {title for title, reason in told.items() if reason} == {"train 1", "attack 1"}


def test_a_killed_process_costs_its_own_call_and_is_replaced():
    with processes(["cpu"]) as executor:
        first = executor.submit(os.getpid).result(timeout=120)
        with pytest.raises(WorkerDiedError, match=r"was ended by SIGKILL, likely because memory ran out"):
            executor.submit(os.kill, first, signal.SIGKILL).result(timeout=60)
        second = executor.submit(os.getpid).result(timeout=60)
        assert first != second
        with pytest.raises(WorkerDiedError, match="ended by itself with exit code 3"):
            executor.submit(os._exit, 3).result(timeout=60)
        assert executor.submit(os.getenv, "OMP_NUM_THREADS").result(timeout=60) == "1"
        third = executor.submit(os.getpid).result(timeout=60)
    executor.workers[0].process.join(60)
    with pytest.raises(ProcessLookupError):
        os.kill(third, 0)


def test_a_worker_that_cannot_start_says_why():
    executor = ProcessExecutor(["cpu"], ["no_such_module_anywhere"])
    try:
        with pytest.raises(UserError, match=r"could not start .*No module named 'no_such_module_anywhere'.*inline"):
            executor.submit(os.getpid).result(timeout=120)
    finally:
        executor.end()


def test_no_semaphore_is_made(monkeypatch):
    def no_semaphores(*arguments):
        raise OSError(38, "/dev/shm is not there")

    monkeypatch.setattr("multiprocessing.synchronize.SemLock.__init__", no_semaphores)
    with processes(["cpu"]) as executor:
        assert executor.submit(abs, -1).result(timeout=120) == 1


def test_where_no_short_folder_is_there_the_sentence_names_tmpdir(monkeypatch, tmp_path):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / ("t" * 100)))
    monkeypatch.setattr(worker_process, "SHORT_FOLDERS", ())
    with pytest.raises(UserError, match=r"TMPDIR .* is too long .*--executor inline"):
        worker_process.begin_server()

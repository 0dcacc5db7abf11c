"""What Dask says of a dead worker is what the scheduler of jobs counts."""

from pathlib import Path

import pytest
from distributed.scheduler import KilledWorker

from robustbench_pix.catalogue.workspace import SHIPPED
from robustbench_pix.runs.cluster.executor import DaskExecutor
from robustbench_pix.runs.cluster.messages import Order, Places
from robustbench_pix.runs.executors import WorkerDiedError
from robustbench_pix.runs.store import Store
from robustbench_pix.runs.worker import execute_here
from tests.runs.test_scheduling import training


class Deadly:
    """A client of Dask whose scheduler allows a task so many deaths."""

    def __init__(self, allowed):
        self.allowed = allowed

    def submit(self, function, call, **options):
        return self

    def result(self):
        raise KilledWorker("task", None, self.allowed)

    def release(self):
        pass

    def cancel(self, futures, force):
        pass


@pytest.mark.parametrize("allowed", [0, 3])
def test_a_death_counts_as_often_as_dask_has_seen_it(tmp_path, allowed):
    order = Order([], "cpu", [], [], None, Places(tmp_path, SHIPPED, Path("/data")))
    executor = DaskExecutor(Deadly(allowed), order, Store(tmp_path), catalogue=None, resources={})
    with pytest.raises(WorkerDiedError, match="memory or its time ran out") as death:
        executor.submit(execute_here, [training(0)], str(tmp_path)).result(timeout=60)
    assert death.value.times == allowed + 1
    executor.end()

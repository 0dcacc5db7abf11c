"""How many submissions a cluster takes, and that jobs of a queue which were lost are submitted again, once."""

from types import SimpleNamespace

import pytest

from robustbench_pix.errors import UserError
from robustbench_pix.runs.cluster import slots
from robustbench_pix.runs.cluster.cluster_file import AddressSpec, LocalSpec, QueueSpec
from robustbench_pix.runs.cluster.slots import GONE_SECONDS, LOOK_SECONDS, PATIENCE_SECONDS, Slots
from robustbench_pix.runs.progress import Watcher

QUEUE = QueueSpec(kind="slurm", workers=4, slots=2, options={"memory": "2GB"})


class Client:
    status = "running"

    def __init__(self, *names):
        self.names = names

    def scheduler_info(self):
        return {"workers": {f"tcp://{name}": {"name": name} for name in self.names}}


class Cluster:
    """Two jobs of two workers each, or of one."""

    def __init__(self, group):
        self.worker_spec = {f"job-{number}": {"group": group} for number in range(2)}
        self.calls = []

    def scale_down(self, names):
        self.calls.append(("down", names))
        for name in names:
            del self.worker_spec[name]

    def sync(self, function, *arguments):
        function(*arguments)

    def scale(self, workers):
        self.calls.append(("to", workers))
        self.worker_spec |= {f"job-{number}": {"group": ["-0", "-1"]} for number in range(2)}


@pytest.fixture
def clock(monkeypatch):
    now = SimpleNamespace(seconds=1000.0)
    monkeypatch.setattr(slots.time, "monotonic", lambda: now.seconds)
    return now


def test_a_submission_a_worker_and_one_where_none_has_come(clock):
    client = Client("0", "1", "2")
    count = Slots(client, None, AddressSpec(address="tcp://a:1"), Watcher())
    assert count() == 3
    client.names = ()
    assert count() == 3
    clock.seconds += LOOK_SECONDS
    assert count() == 1


def test_an_adaptive_cluster_takes_as_many_as_it_may_have(clock):
    assert Slots(Client(), None, LocalSpec(least=0, most=7), Watcher())() == 7


def test_a_lost_job_is_submitted_again_once(clock):
    client, cluster = Client("job-0-0", "job-0-1", "job-1-0", "job-1-1"), Cluster(["-0", "-1"])
    count = Slots(client, cluster, QUEUE, Watcher())
    assert count() == 4
    client.names = ("job-0-0",)  # One worker of a job is being begun again, and one job is gone.
    while clock.seconds < 1000 + GONE_SECONDS:
        clock.seconds += LOOK_SECONDS
        assert count() == 1
        assert cluster.calls == []
    for _ in range(3):
        clock.seconds += LOOK_SECONDS
        count()
    assert cluster.calls == [("down", ["job-1"]), ("to", 4)]


def test_a_job_that_waits_in_the_queue_is_left_there(clock):
    cluster = Cluster(["-0", "-1"])
    count = Slots(Client(), cluster, QUEUE, Watcher())
    for _ in range(100):
        clock.seconds += LOOK_SECONDS
        count()
    assert cluster.calls == []


def test_patience_is_told_once(clock):
    told = []
    watcher = Watcher()
    watcher.say = told.append
    count = Slots(Client(), None, QUEUE, watcher)
    for _ in range(100):
        clock.seconds += LOOK_SECONDS
        count()
        assert bool(told) == (clock.seconds - 1000 > PATIENCE_SECONDS)
    assert told == ["No worker has come yet; the jobs wait until one does, and Ctrl-C ends the wait."]


def test_a_lost_scheduler_is_an_error(clock):
    client = Client()
    client.status = "closed"
    with pytest.raises(UserError, match="scheduler of the cluster was lost; run the same command again"):
        Slots(client, None, QUEUE, Watcher())()

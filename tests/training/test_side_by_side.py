"""Models trained side by side are the models trained alone, bit for bit; and how they take turns."""

import time
from collections import deque

import pytest
import torch
from torch import nn

from robustbench_pix.cuda_graphs import side_stream
from robustbench_pix.randomness import global_streams
from robustbench_pix.training import side_by_side as module
from robustbench_pix.training.loop import training
from robustbench_pix.training.side_by_side import SharedClock, side_by_side
from tests.training.models import DATA, SPEC, network, similarity


class Forgetful(nn.Module):
    """A network that draws from the global generator at each step."""

    def __init__(self, seed):
        super().__init__()
        self.net = network(seed)

    def features(self, images):
        return self.net.features(nn.functional.dropout(images, 0.2, self.training))

    def forward(self, images):
        return self.net(nn.functional.dropout(images, 0.2, self.training))


def recipes(device="cpu"):
    """Return trainings that differ in network, recipe and seed, each under a random state of its own."""

    def begin(build, regularizer, alpha, seed, results):
        net, penalty = build(seed).to(device), None if regularizer is None else regularizer.to(device)
        data = type(DATA)(*(getattr(DATA, field).to(device) for field in DATA.__dataclass_fields__))
        with global_streams("training", seed):
            results[seed] = yield from training(net, penalty, data, SPEC, seed=seed, alpha=alpha, device=device)

    return [
        lambda results: begin(network, None, 0.0, 0, results),
        lambda results: begin(Forgetful, similarity(), 0.5, 1, results),
        lambda results: begin(network, similarity(target="zero"), 1.0, 2, results),
    ]


def same(one, other):
    return one.log == other.log and all(torch.equal(other.state[name], value) for name, value in one.state.items())


def check(device):
    alone, together = {}, {}
    for begin in recipes(device):
        with side_stream(device):
            deque(begin(alone), maxlen=0)
    side_by_side([begin(together) for begin in recipes(device)], device, SharedClock())
    assert sorted(alone) == sorted(together) == [0, 1, 2]
    assert all(same(alone[seed], together[seed]) for seed in alone)


def test_three_models_together_are_the_three_alone(monkeypatch):
    monkeypatch.setattr(module, "_has_room", lambda running, device: True)
    check("cpu")


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs CUDA")
def test_three_models_together_are_the_three_alone_on_cuda():
    check("cuda")


def test_without_a_state_of_its_own_dropout_would_differ(monkeypatch):
    """The test above can fail: dropout drawn from what the others left behind gives other weights."""
    monkeypatch.setattr(module, "_has_room", lambda running, device: True)
    alone, disturbed = {}, {}
    begin = recipes()[1]
    side_by_side([begin(alone)], "cpu", SharedClock())
    for _ in begin(disturbed):
        torch.rand(1)
    assert not same(alone[1], disturbed[1])


def counting(name, steps, order):
    for _ in range(steps):
        order.append(name)
        yield


def test_they_take_turns_where_there_is_room_and_queue_where_there_is_none(monkeypatch):
    order = []
    side_by_side([counting("a", 2, order), counting("b", 2, order)], "cpu", SharedClock())
    assert order == ["a", "a", "b", "b"]
    monkeypatch.setattr(module, "_has_room", lambda running, device: len(running) < 2)
    order.clear()
    side_by_side([counting(name, 3, order) for name in "abc"], "cpu", SharedClock())
    assert order == ["a", "a", "b", "a", "b", "b", "c", "c", "c"]


def test_on_cuda_room_is_what_the_memory_says(monkeypatch):
    class Lane:
        taken = module.STEPS_UNTIL_SETTLED

    memory = {"free": 130, "reserved": 60}
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: (memory["free"], 200))
    monkeypatch.setattr(torch.cuda, "memory_reserved", lambda device: memory["reserved"])
    assert module._has_room([], "cuda")
    assert module._has_room([Lane()], "cuda")
    memory["free"] = 80
    assert not module._has_room([Lane()], "cuda")
    assert module._has_room([Lane(), Lane()], "cuda")
    Lane.taken = 1
    assert not module._has_room([Lane(), Lane()], "cuda")


def test_an_error_ends_all_and_lets_each_clean_up():
    ended = []

    def careful(name, fails):
        try:
            yield
            if fails:
                raise ValueError(name)
            yield
        finally:
            ended.append(name)

    lanes = [careful("a", False), careful("b", True), careful("c", False)]
    with pytest.raises(ValueError, match="b"):
        side_by_side(lanes, "cpu", SharedClock())
    assert ended == ["a", "b"]
    assert lanes[2].gi_frame is None


def test_time_is_shared_among_those_that_run(monkeypatch):
    now = [0.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    clock = SharedClock()
    now[0] = 6.0
    assert clock.now() == 6
    clock.shared_by(3)
    now[0] = 12.0
    assert clock.now() == 8
    clock.shared_by(1)
    now[0] = 13.0
    assert clock.now() == 9


def test_each_is_counted_its_share_also_after_others_have_ended(monkeypatch):
    """Each step takes a second: two share the first two rounds, then one has the clock for itself."""
    now, shares, clock = [0.0], {}, None

    def lane(name, steps):
        begun = clock.now()
        for _ in range(steps):
            now[0] += 1.0
            yield
        shares[name] = clock.now() - begun

    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    monkeypatch.setattr(module, "_has_room", lambda running, device: len(running) < 2)
    clock = SharedClock()
    side_by_side([lane("short", 2), lane("long", 5)], "cpu", clock)
    assert shares == {"short": 2.0, "long": 4.0}

"""Recording against calling, with a capturer that stands in for CUDA's; on CUDA with its own."""

import random

import numpy as np
import pytest
import torch

from robustbench_pix.cuda_graphs import CALLS_BEFORE_CAPTURE, CapturedStep, capturer_for, side_stream
from robustbench_pix.randomness import GlobalState


class StandIn:
    """As a CUDA graph does, it runs nothing when it records."""

    def __init__(self, blocker=None, fails=False):
        self.told, self.fails, self.captured, self.replayed = blocker, fails, 0, 0

    def capture_blocker(self, function):
        function()
        return self.told

    def capture(self, function):
        self.captured += 1
        if self.fails:
            raise RuntimeError("operation not permitted when stream is capturing")

        def replay():
            self.replayed += 1
            function()

        return replay


def test_each_call_has_the_functions_effect_once_whether_called_or_replayed():
    total, capturer = torch.zeros(()), StandIn()
    repeated = CapturedStep(lambda: total.add_(1), capturer)
    for calls in range(1, 7):
        repeated()
        assert float(total) == calls
    assert (capturer.captured, capturer.replayed) == (1, 6 - CALLS_BEFORE_CAPTURE)
    assert repeated.captured


def test_on_a_cpu_nothing_is_recorded():
    calls = []
    repeated = CapturedStep(lambda: calls.append(1), capturer_for("cpu"))
    for _ in range(5):
        repeated()
    assert (len(calls), repeated.captured) == (5, False)


@pytest.mark.parametrize(
    ("capturer", "attempts", "reason"),
    [
        (StandIn(blocker="it waits for the device"), 0, "it waits for the device"),
        (StandIn(fails=True), 1, "RuntimeError: operation not permitted"),
    ],
)
def test_what_cannot_be_recorded_is_called_and_that_is_said_once(capturer, attempts, reason, caplog):
    calls = []
    repeated = CapturedStep(lambda: calls.append(1), capturer)
    for _ in range(6):
        repeated()
    assert (len(calls), capturer.captured, repeated.captured) == (6, attempts, False)
    assert len(caplog.records) == 1
    assert reason in caplog.text


@pytest.mark.parametrize("draw", [random.random, np.random.rand, lambda: torch.rand(1)])
def test_a_draw_from_a_global_generator_shows(draw):
    state = GlobalState()
    torch.zeros(3).add_(1)
    assert state.is_current()
    draw()
    assert not state.is_current()


needs_cuda = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs CUDA")


@needs_cuda
def test_on_cuda_replays_have_the_effect_of_calls():
    total = torch.zeros(4, device="cuda")
    repeated = CapturedStep(lambda: total.add_(torch.ones_like(total)), capturer_for("cuda"))
    with side_stream("cuda"):
        for _ in range(6):
            repeated()
    torch.cuda.synchronize()
    assert repeated.captured
    assert total.tolist() == [6.0] * 4


@needs_cuda
@pytest.mark.parametrize("plugged", [lambda total: total.sum().item(), lambda total: torch.rand(1, device="cuda")])
def test_on_cuda_what_waits_or_draws_is_found_before_it_is_recorded(plugged):
    total = torch.zeros(4, device="cuda")

    def function():
        total.add_(1)
        plugged(total)

    capturer = capturer_for("cuda")
    with side_stream("cuda"):
        assert capturer.capture_blocker(function) is not None
        repeated = CapturedStep(function, capturer)
        for _ in range(6):
            repeated()
    torch.cuda.synchronize()
    assert not repeated.captured
    assert total.tolist() == [7.0] * 4

"""Recording against calling, with a recorder that stands in for CUDA's; on CUDA with its own."""

import pytest
import torch

from robustbench_pix.graphs import CALLS_BEFORE_RECORDING, Repeated, side_stream


class Recorder:
    """As a CUDA graph does, it runs nothing when it records."""

    def __init__(self):
        self.recorded, self.replayed = 0, 0

    def __call__(self, function):
        self.recorded += 1

        def replay():
            self.replayed += 1
            function()

        return replay


def test_each_call_has_the_functions_effect_once_whether_called_or_replayed():
    total, recorder = torch.zeros(()), Recorder()
    repeated = Repeated(lambda: total.add_(1), "cuda", record=recorder)
    for calls in range(1, 7):
        repeated()
        assert float(total) == calls
    assert (recorder.recorded, recorder.replayed) == (1, 6 - CALLS_BEFORE_RECORDING)
    assert repeated.recorded


def test_on_a_cpu_nothing_is_recorded():
    recorder, calls = Recorder(), []
    repeated = Repeated(lambda: calls.append(1), "cpu", record=recorder)
    for _ in range(5):
        repeated()
    assert (recorder.recorded, len(calls), repeated.recorded) == (0, 5, False)


def test_what_cannot_be_recorded_is_called(monkeypatch):
    monkeypatch.setattr(torch.cuda, "synchronize", lambda: None)
    calls, attempts = [], []

    def refuse(function):
        attempts.append(1)
        raise RuntimeError("operation not permitted when stream is capturing")

    repeated = Repeated(lambda: calls.append(1), "cuda", record=refuse)
    for _ in range(6):
        repeated()
    assert (len(calls), len(attempts), repeated.recorded) == (6, 1, False)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs CUDA")
def test_on_cuda_replays_have_the_effect_of_calls():
    total = torch.zeros(4, device="cuda")
    repeated = Repeated(lambda: total.add_(torch.ones_like(total)), "cuda")
    with side_stream("cuda"):
        for _ in range(6):
            repeated()
    torch.cuda.synchronize()
    assert repeated.recorded
    assert total.tolist() == [6.0] * 4

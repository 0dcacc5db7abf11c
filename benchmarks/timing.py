"""Times: of contenders that take turns, so that a busy machine slows all of them, and of single kernels."""

import time
from collections.abc import Callable, Mapping
from statistics import median
from typing import NamedTuple

import torch

CALLS_BEFORE_TIMING, REPETITIONS = 3, 5


class Time(NamedTuple):
    """Seconds by the clock, and seconds that this process computed, all its threads together."""

    seconds: float
    processor_seconds: float

    def __sub__(self, earlier: "Time") -> "Time":
        return Time(self.seconds - earlier.seconds, self.processor_seconds - earlier.processor_seconds)

    def over(self, count: float) -> "Time":
        """Return the time of one of so many."""
        return Time(self.seconds / count, self.processor_seconds / count)

    def spent_on(self, device: str) -> float:
        """Return what counts: on one thread of a CPU processor seconds, which other programs do not lengthen."""
        alone = device == "cpu" and torch.get_num_threads() == 1
        return self.processor_seconds if alone else self.seconds


def now(device: str) -> Time:
    """Return the time, once the device has done what it was asked for."""
    if device.startswith("cuda"):
        torch.cuda.synchronize(device)
    return Time(time.perf_counter(), time.process_time())


def middle(times: list[Time]) -> Time:
    """Return the medians.

    >>> middle([Time(1.0, 5.0), Time(9.0, 3.0), Time(2.0, 4.0)])
    Time(seconds=2.0, processor_seconds=4.0)
    """
    return Time(median(time.seconds for time in times), median(time.processor_seconds for time in times))


def taking_turns(contenders: Mapping[str, Callable[[], list[Time]]], rounds: int) -> dict[str, Time]:
    """Let every contender measure itself once a round, and return the median of each."""
    times: dict[str, list[Time]] = {name: [] for name in contenders}
    for _ in range(rounds):
        for name, measure in contenders.items():
            times[name] += measure()
    return {name: middle(measured) for name, measured in times.items()}


def seconds_a_call(
    function: Callable[[], object],
    device: str,
    *,
    least_seconds: float,
    of: Callable[[list[float]], float] = median,
) -> float:
    """Return the time of a call: the median of five repetitions of as many calls as take so long together."""
    for _ in range(CALLS_BEFORE_TIMING):
        function()
    calls, begun = 1, now(device)
    function()
    while (now(device) - begun).seconds < least_seconds:
        function()
        calls += 1
    calls = max(1, calls - 1)
    measured = []
    for _ in range(REPETITIONS):
        begun = now(device)
        for _ in range(calls):
            function()
        measured.append((now(device) - begun).spent_on(device) / calls)
    return of(measured)

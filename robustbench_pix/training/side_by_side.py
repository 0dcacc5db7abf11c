"""Several models trained concurrently on one device, each on its own stream, taking turns step by step.

A small network leaves most of a large GPU idle for the other streams. The models share nothing, so each is trained
exactly as it would be alone.
"""

import time
from collections import deque
from collections.abc import Generator, Iterable

import torch

from robustbench_pix.cuda_graphs import side_stream
from robustbench_pix.randomness import GlobalState

Steps = Generator[None, None, None]
STEPS_UNTIL_SETTLED = 5
"""Steps after which a model has allocated most of its memory."""
SPARE_MEMORY = 2.0
"""Another model is started if this multiple of one model's memory is free: all grow in their first epochs."""


class SharedClock:
    """A clock that attributes to each of several concurrent models its share of the time."""

    def __init__(self) -> None:
        self.counted, self.since, self.models = 0.0, time.monotonic(), 1

    def now(self) -> float:
        """Return the seconds of one model's share since the clock was made."""
        return self.counted + (time.monotonic() - self.since) / self.models

    def shared_by(self, models: int) -> None:
        """Share the time among this number of models from now on."""
        self.counted, self.since, self.models = self.now(), time.monotonic(), models


class _Lane:
    def __init__(self, steps: Steps, device: str) -> None:
        self.steps, self.taken = steps, 0
        self.stream, self.randomness = side_stream(device), GlobalState()

    def advance(self) -> bool:
        """Take one step; return whether there may be another."""
        self.taken += 1
        with self.stream, self.randomness.in_force():
            try:
                next(self.steps)
            except StopIteration:
                return False
        return True


def side_by_side(every: Iterable[Steps], device: str, clock: SharedClock) -> None:
    """Take the steps of all computations in turn, on CUDA as many at a time as its memory has room for.

    An exception in one of them ends all.
    """
    waiting, running = deque(every), list[_Lane]()
    try:
        while waiting or running:
            if waiting and _has_room(running, device):
                running.append(_Lane(waiting.popleft(), device))
                clock.shared_by(len(running))
            unfinished = [lane for lane in running if lane.advance()]
            if len(unfinished) < len(running):
                clock.shared_by(max(1, len(unfinished)))
                torch.cuda.empty_cache()  # Memory cached by a stream is not available to others.
            running = unfinished
    finally:
        for steps in (*waiting, *(lane.steps for lane in running)):
            steps.close()


def _has_room(running: list[_Lane], device: str) -> bool:
    if not running or not device.startswith("cuda"):
        return not running
    if running[-1].taken < STEPS_UNTIL_SETTLED:
        return False
    free, _ = torch.cuda.mem_get_info(device)
    return free > SPARE_MEMORY * torch.cuda.memory_reserved(device) / len(running)

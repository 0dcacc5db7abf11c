"""Several models trained side by side on one device: each on a stream of its own, taking turns step by step.

A small network leaves most of a large GPU idle; what one stream leaves idle, the others use. Nothing is shared between
the models, so each is trained exactly as it would be alone.
"""

import time
from collections import deque
from collections.abc import Generator, Iterable

import torch

from robustbench_pix.graphs import side_stream
from robustbench_pix.randomness import GlobalState

Steps = Generator[None, None, None]
STEPS_UNTIL_SETTLED = 5
"""Steps after which a model has taken most of the memory that it will take."""
SPARE_MEMORY = 2.0
"""Another model is begun where so many times the memory of one is free: all still grow in their first epochs."""


class SharedClock:
    """Seconds, of which each of several models is counted its share."""

    def __init__(self) -> None:
        self.counted, self.since, self.models = 0.0, time.monotonic(), 1

    def now(self) -> float:
        """Return the seconds of one model's share since the clock was made."""
        return self.counted + (time.monotonic() - self.since) / self.models

    def shared_by(self, models: int) -> None:
        """From now on so many models share the time."""
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

    What one of them raises ends all.
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
                torch.cuda.empty_cache()  # What a stream has kept, no other can use.
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

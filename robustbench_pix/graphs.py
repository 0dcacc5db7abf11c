"""Functions on tensors in place, repeated: called on a CPU, on CUDA recorded once as a graph and then replayed.

Launching the hundreds of small kernels of a training step takes the host longer than running them takes a GPU. A CUDA
graph launches all of them at once. What may be recorded reads and writes the same tensors at each call, waits for
nothing on the host, and takes its place in a series (which batch, which step) from a tensor that it moves on itself.
"""

import logging
import warnings
from collections.abc import Callable
from contextlib import nullcontext
from typing import Any

import torch

from robustbench_pix.randomness import GlobalState

CALLS_BEFORE_RECORDING: float = 2
"""The first calls are made one kernel at a time: they make the optimizer's buffers and the libraries' workspaces."""


class Recorder:
    """Records functions as CUDA graphs, all in one pool of memory, since they never run at the same time."""

    def __init__(self) -> None:
        self.pool = torch.cuda.graph_pool_handle()

    def obstacle(self, function: Callable[[], None]) -> str | None:
        """Call a function, and return why replays would not do the same as calls, or None.

        Found out beforehand, since a recording that fails leaves the allocator of the process in disorder.
        """
        state, before = GlobalState(), torch.cuda.get_sync_debug_mode()
        torch.cuda.set_sync_debug_mode("warn")
        try:
            with warnings.catch_warnings(record=True) as told:
                warnings.simplefilter("always")
                function()
        finally:
            torch.cuda.set_sync_debug_mode(before)
        if any("synchronizing" in str(warning.message) for warning in told):
            return "it waits for the device"
        return None if state.is_current() else "it draws from global random generators"

    def record(self, function: Callable[[], None]) -> Callable[[], None]:
        """Return what replays a function; recording runs nothing of it."""
        graph = torch.cuda.CUDAGraph()
        stream = torch.cuda.current_stream()
        # Other threads of the process, such as one that watches its parent, may go on.
        with torch.cuda.graph(graph, pool=self.pool, stream=stream, capture_error_mode="thread_local"):
            function()
        replay: Callable[[], None] = graph.replay
        return replay


def recorder_for(device: str) -> Recorder | None:
    """Return a recorder on CUDA, None elsewhere."""
    return Recorder() if device.startswith("cuda") else None


class Repeated:
    """A function without arguments or result, called many times with the same effect as calling it each time.

    On CUDA it must be called under a stream that is not the default one. A function that cannot be recorded, because
    code plugged into it waits for the device or draws random numbers, is always called, kernel by kernel.

    Attributes:
        recorded: whether calls are replays.
    """

    def __init__(self, function: Callable[[], None], recorder: Recorder | None) -> None:
        self.function, self.call, self.recorder = function, function, recorder
        self.calls, self.recorded = 0, False

    def __call__(self) -> None:
        """Call the function, or replay it."""
        self.calls += 1
        if self.recorder is None or self.recorded or self.calls < CALLS_BEFORE_RECORDING:
            self.call()
        elif self.calls == CALLS_BEFORE_RECORDING:
            self._give_up_if(self.recorder.obstacle(self.function))
        else:
            self._record(self.recorder)
            self.call()

    def _record(self, recorder: Recorder) -> None:
        try:
            self.call, self.recorded = recorder.record(self.function), True
        except Exception as error:  # What is wrong with the function itself shows at its next call.
            self._give_up_if(f"{type(error).__name__}: {error}")

    def _give_up_if(self, obstacle: str | None) -> None:
        if obstacle is not None:
            logging.getLogger(__name__).warning("A step is called kernel by kernel, which is slower: %s.", obstacle)
            self.recorder = None


def side_stream(device: str) -> Any:
    """Return a context, to be entered any number of times, under which CUDA work goes to no default stream.

    Where the current stream is the default one, it is a stream of its own, begun after what was asked for before.
    """
    if not device.startswith("cuda"):
        return nullcontext()
    current = torch.cuda.current_stream(device)
    if current != torch.cuda.default_stream(device):
        return nullcontext()
    stream = torch.cuda.Stream(device)
    stream.wait_stream(current)
    return torch.cuda.stream(stream)

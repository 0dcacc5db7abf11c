"""CUDA graphs of repeated steps: a function is captured once and then replayed; on a CPU it is called each time.

Launching the hundreds of small kernels of a training step takes the host longer than running them takes a GPU. A CUDA
graph launches them all at once. A function can be captured if it reads and writes the same tensors at each call, does
not synchronize with the host, and reads its position in a series (batch, step) from a tensor that it advances itself.
"""

import logging
import warnings
from collections.abc import Callable
from contextlib import nullcontext
from typing import Any

import torch

from robustbench_pix.randomness import GlobalState

CALLS_BEFORE_CAPTURE: float = 2
"""The first calls launch kernel by kernel: they allocate the optimizer's buffers and the libraries' workspaces."""


class GraphCapturer:
    """Captures functions as CUDA graphs that share one memory pool, since they never run at the same time."""

    def __init__(self) -> None:
        self.pool = torch.cuda.graph_pool_handle()

    def capture_blocker(self, function: Callable[[], None]) -> str | None:
        """Call a function, and return why replays would differ from calls, or None.

        Checked in advance, since a failed capture leaves the allocator of the process in disorder.
        """
        state, before = GlobalState(), torch.cuda.get_sync_debug_mode()
        torch.cuda.set_sync_debug_mode("warn")
        try:
            with warnings.catch_warnings(record=True) as caught:
                warnings.simplefilter("always")
                function()
        finally:
            torch.cuda.set_sync_debug_mode(before)
        if any("synchronizing" in str(warning.message) for warning in caught):
            return "it waits for the device"
        return None if state.is_current() else "it draws from global random generators"

    def capture(self, function: Callable[[], None]) -> Callable[[], None]:
        """Return a function that replays this one; capturing executes no kernel."""
        graph = torch.cuda.CUDAGraph()
        stream = torch.cuda.current_stream()
        # Other threads of the process, such as one that watches its parent, may go on.
        with torch.cuda.graph(graph, pool=self.pool, stream=stream, capture_error_mode="thread_local"):
            function()
        replay: Callable[[], None] = graph.replay
        return replay


def capturer_for(device: str) -> GraphCapturer | None:
    """Return a capturer on CUDA, None elsewhere."""
    return GraphCapturer() if device.startswith("cuda") else None


class CapturedStep:
    """A function without arguments or result, called many times; replays have the same effect as calls.

    On CUDA it must be called under a stream other than the default one. A function that cannot be captured, because
    user code in it synchronizes with the device or draws random numbers, is launched kernel by kernel at every call.

    Attributes:
        captured: whether calls are replays.
    """

    def __init__(self, function: Callable[[], None], capturer: GraphCapturer | None) -> None:
        self.function, self.call, self.capturer = function, function, capturer
        self.calls, self.captured = 0, False

    def __call__(self) -> None:
        """Call the function, or replay it."""
        self.calls += 1
        if self.capturer is None or self.captured or self.calls < CALLS_BEFORE_CAPTURE:
            self.call()
        elif self.calls == CALLS_BEFORE_CAPTURE:
            self._give_up_if(self.capturer.capture_blocker(self.function))
        else:
            self._capture(self.capturer)
            self.call()

    def _capture(self, capturer: GraphCapturer) -> None:
        try:
            self.call, self.captured = capturer.capture(self.function), True
        except Exception as error:  # An error of the function itself is raised by its next call.
            self._give_up_if(f"{type(error).__name__}: {error}")

    def _give_up_if(self, blocker: str | None) -> None:
        if blocker is not None:
            logging.getLogger(__name__).warning("A step is called kernel by kernel, which is slower: %s.", blocker)
            self.capturer = None


def side_stream(device: str) -> Any:
    """Return a reusable context in which CUDA work runs on a stream other than the default one.

    If the current stream is the default one, this is a new stream that waits for the work queued so far.
    """
    if not device.startswith("cuda"):
        return nullcontext()
    current = torch.cuda.current_stream(device)
    if current != torch.cuda.default_stream(device):
        return nullcontext()
    stream = torch.cuda.Stream(device)
    stream.wait_stream(current)
    return torch.cuda.stream(stream)

"""Functions on tensors in place, repeated: called on a CPU, on CUDA recorded once as a graph and then replayed.

Launching the hundreds of small kernels of a training step takes the host longer than running them takes a GPU. A CUDA
graph launches all of them at once. What may be recorded reads and writes the same tensors at each call, waits for
nothing on the host, and takes its place in a series (which batch, which step) from a tensor that it moves on itself.
"""

from collections.abc import Callable
from contextlib import nullcontext
from typing import Any

import torch

CALLS_BEFORE_RECORDING = 2
"""The first calls are made one kernel at a time: they make the optimizer's buffers and the libraries' workspaces."""


def _record(function: Callable[[], None]) -> Callable[[], None]:
    graph = torch.cuda.CUDAGraph()
    # Other threads of the process, such as one that watches its parent, may go on.
    with torch.cuda.graph(graph, stream=torch.cuda.current_stream(), capture_error_mode="thread_local"):
        function()
    replay: Callable[[], None] = graph.replay
    return replay


class Repeated:
    """A function without arguments or result, called many times with the same effect as calling it each time.

    On CUDA it must be called under a stream that is not the default one. A function that cannot be recorded, because
    code plugged into it waits for the device, is called one kernel at a time from then on.

    Attributes:
        recorded: whether calls are replays.
    """

    def __init__(
        self,
        function: Callable[[], None],
        device: str,
        record: Callable[[Callable[[], None]], Callable[[], None]] = _record,
    ) -> None:
        self.function, self.call, self.record = function, function, record
        self.until_recording: float = CALLS_BEFORE_RECORDING if device.startswith("cuda") else float("inf")
        self.recorded = False

    def __call__(self) -> None:
        """Call the function, or replay it."""
        if self.until_recording == 0:
            self._try_to_record()
        self.until_recording -= 1
        self.call()

    def _try_to_record(self) -> None:
        try:
            self.call, self.recorded = self.record(self.function), True
        except Exception:  # Recording runs nothing, so nothing has to be undone; a true fault returns at the next call.
            torch.cuda.synchronize()


def side_stream(device: str) -> Any:
    """Return a context, to be entered any number of times, that sends CUDA work to a stream of its own.

    The stream begins after what was asked for before. On other devices the context changes nothing.
    """
    if not device.startswith("cuda"):
        return nullcontext()
    stream = torch.cuda.Stream(device)
    stream.wait_stream(torch.cuda.current_stream(device))
    return torch.cuda.stream(stream)

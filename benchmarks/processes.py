"""The same measurement in several processes of one thread each, at the same time: how models share a CPU."""

import multiprocessing
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from typing import Any

import torch

from benchmarks.timing import Time, middle

Measure = Callable[..., list[Time]]
_together: Any = None


@contextmanager
def processes(count: int) -> Iterator[Callable[..., list[Time]]]:
    """Give ``measure(function, *arguments)``, which calls the function in every process at once.

    It returns one time: that of the slowest process, so that so many calls were done in it.
    """
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(count, mp_context=context, initializer=_start, initargs=(context.Barrier(count),)) as pool:

        def measure(function: Measure, *arguments: Any) -> list[Time]:
            running = [pool.submit(_measured, function, arguments) for _ in range(count)]
            return [max(middle(future.result()) for future in running)]

        yield measure


def _start(barrier: Any) -> None:
    global _together
    _together = barrier
    torch.set_num_threads(1)


def _measured(function: Measure, arguments: tuple[Any, ...]) -> list[Time]:
    _together.wait()
    return function(*arguments)


def in_a_fresh_process(function: Callable[..., Any], *arguments: Any) -> Any:
    """Return what a function returns in a process of one thread that has done nothing else."""
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, mp_context=context, initializer=torch.set_num_threads, initargs=(1,)) as pool:
        return pool.submit(function, *arguments).result()

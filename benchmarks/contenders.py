"""Who takes turns in ``training.py``: the plain way and ours, by precision, threads, and models at once."""

from collections.abc import Callable
from contextlib import ExitStack
from functools import partial
from typing import NamedTuple

from benchmarks import ours
from benchmarks.machine import using_threads
from benchmarks.plain import PlainRun
from benchmarks.processes import processes
from benchmarks.timing import Time
from benchmarks.workload import Work
from robustbench_pix.devices import arithmetic

PLAIN, OURS, EAGER = "plain", "ours", "ours, kernel by kernel"
SIDE_BY_SIDE = (1, 2, 4, 7)


class Contender(NamedTuple):
    """A way to train. ``threads``: of a process; ``models``: processes on a CPU, streams of one process on CUDA."""

    way: str
    precision: str
    threads: int = 1
    models: int = 1


Contenders = dict[Contender, Callable[[], list[Time]]]


def contenders(work: Work, device: str, cores: int, stack: ExitStack) -> Contenders:
    """Return how each contender measures itself; the plain way, as published, is the first."""
    return _on_cuda(work, device) if device.startswith("cuda") else _on_cpu(work, cores, stack)


def plain_steps(run: PlainRun, precision: str, threads: int) -> list[Time]:
    """Return the time of a step of the plain way."""
    with using_threads(threads), arithmetic(precision):
        return run.steps()


def our_steps(work: Work, device: str, precision: str, threads: int = 1, models: int = 1) -> list[Time]:
    """Return the times of a step of so many models side by side."""
    with using_threads(threads):
        return ours.steps(work, device, precision, models=models)


def _on_cpu(work: Work, cores: int, stack: ExitStack) -> Contenders:
    plain, entered = PlainRun(work, "cpu"), Contenders()
    together = stack.enter_context(processes(cores)) if cores > 1 else None
    for threads in (cores, 1):
        entered[Contender(PLAIN, "float32", threads)] = partial(plain_steps, plain, "float32", threads)
    if together:
        entered[Contender(PLAIN, "float32", 1, cores)] = partial(together, plain_steps_of, work, "cpu", "float32")
    for precision in ("float32", "bfloat16"):
        for threads in (cores, 1):
            entered[Contender(OURS, precision, threads)] = partial(our_steps, work, "cpu", precision, threads)
        if together:
            entered[Contender(OURS, precision, 1, cores)] = partial(together, our_steps, work, "cpu", precision)
    return entered


def plain_steps_of(work: Work, device: str, precision: str) -> list[Time]:
    """Return the time of a step of the plain way in a process that has not run it before."""
    return plain_steps(PlainRun(work, device), precision, threads=1)


def _on_cuda(work: Work, device: str) -> Contenders:
    # TF32 in convolutions is PyTorch's default, so the published precision.
    plain = PlainRun(work, device)
    entered: Contenders = {Contender(PLAIN, "tf32"): partial(plain_steps, plain, "tf32", 1)}
    for precision in ("tf32", "bfloat16"):
        entered[Contender(EAGER, precision)] = partial(_kernel_by_kernel, work, device, precision)
    entered[Contender(OURS, "float32")] = partial(our_steps, work, device, "float32")
    for precision in ("tf32", "bfloat16"):
        for models in SIDE_BY_SIDE:
            entered[Contender(OURS, precision, 1, models)] = partial(our_steps, work, device, precision, 1, models)
    return entered


def _kernel_by_kernel(work: Work, device: str, precision: str) -> list[Time]:
    with ours.without_graphs():
        return our_steps(work, device, precision)

"""Where jobs run: in processes of their own, one thread or one GPU each, or in this process."""

import multiprocessing
import os
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, Future, ProcessPoolExecutor
from contextlib import contextmanager
from typing import Any, ParamSpec, TypeVar

from robustbench_pix.runs import worker

P = ParamSpec("P")
T = TypeVar("T")

PACKAGE = "robustbench_pix.runs"
ENVIRONMENT = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1") | {
    "MALLOC_MMAP_THRESHOLD_": str(2**25),
    "MALLOC_TOP_PAD_": str(2**26),
    "MALLOC_TRIM_THRESHOLD_": str(2**30),
}
"""Of worker processes. One thread each: two oversubscribed ones run several times slower. And glibc is to keep the
memory of feature maps from one layer to the next, which a page fault for every 4 KiB would cost a tenth of the time."""


class InlineExecutor(Executor):
    """Runs each call at once, in this process."""

    def submit(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        """Return a future that is done already."""
        future: Future[T] = Future()
        try:
            future.set_result(fn(*args, **kwargs))
        except Exception as error:
            future.set_exception(error)
        return future


@contextmanager
def inline(device: str) -> Iterator[Executor]:
    """Give an executor in this process."""
    before, worker._device = worker._device, device
    try:
        yield InlineExecutor()
    finally:
        worker._device = before


def _context() -> Any:
    """Return how worker processes are begun: forked from a server that has imported the libraries once for all."""
    if "forkserver" not in multiprocessing.get_all_start_methods():
        return multiprocessing.get_context("spawn")
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["torch", f"{PACKAGE}.training_job", f"{PACKAGE}.attack_job", "pyarrow.parquet"])
    return context


def begin_server() -> None:
    """Let the server import, in the background, while this process plans."""
    if _context().get_start_method() == "forkserver":
        from multiprocessing import forkserver

        with _environment_of_workers():
            forkserver.ensure_running()


@contextmanager
def processes(devices: list[str]) -> Iterator[Executor]:
    """Give an executor of one process a device; on any exception, Ctrl-C included, the processes are ended at once."""
    context = _context()
    queue: Any = context.Queue()
    for device in devices:
        queue.put(device)
    with _environment_of_workers():
        pool = ProcessPoolExecutor(len(devices), mp_context=context, initializer=worker.start_worker, initargs=(queue,))
        try:
            yield pool
            pool.shutdown()
        except BaseException:
            for process in list((pool._processes or {}).values()):
                process.terminate()
            pool.shutdown(wait=False, cancel_futures=True)
            raise


@contextmanager
def _environment_of_workers() -> Iterator[None]:
    """Let processes that are begun now have the environment of workers."""
    before = {name: os.environ.get(name) for name in ENVIRONMENT}
    os.environ.update(ENVIRONMENT)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value

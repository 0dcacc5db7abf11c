"""Where jobs run: in worker processes of one thread or one GPU each, or in this process."""

import signal
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from contextlib import contextmanager
from multiprocessing.connection import Connection
from queue import SimpleQueue
from threading import Lock
from typing import Any, ParamSpec, TypeVar

from robustbench_pix.catalogue.registries import ALL
from robustbench_pix.catalogue.registry import HOME
from robustbench_pix.errors import UserError
from robustbench_pix.runs import worker
from robustbench_pix.runs.worker_process import begin_process

P = ParamSpec("P")
T = TypeVar("T")

SECONDS_TO_END = 10.0


class WorkerDiedError(Exception):
    """A worker process ended in the middle of a call, ``times`` in a row; the text says how."""

    def __init__(self, how: str, *, times: int = 1) -> None:
        super().__init__(how)
        self.times = times


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


class WorkerProcess:
    """One worker process at a time, on one device; where one has died, the next call begins another."""

    def __init__(self, device: str, modules: list[str]) -> None:
        self.device, self.modules = device, modules
        self.process: Any = None
        self.calls: Connection | None = None
        self.ended, self.lock = False, Lock()

    def call(self, function: Callable[..., T], *arguments: Any) -> T:
        """Call a function in the process.

        Raises:
            WorkerDiedError: the process ended before it answered.
            UserError: no process could be begun.
        """
        calls = self.calls or self._begin()
        try:
            calls.send((function, arguments))
            answer: tuple[T, Exception | None] = calls.recv()
        except (EOFError, OSError):
            raise WorkerDiedError(self._how_it_ended()) from None
        if answer[1] is not None:
            raise answer[1]
        return answer[0]

    def end(self) -> None:
        """End the process at once, and begin no other."""
        with self.lock:
            self.ended = True
            if self.process is not None:
                self.process.kill()

    def _begin(self) -> Connection:
        with self.lock:
            if self.ended:
                raise WorkerDiedError("it was ended")
            self.process, calls = begin_process(self.device, self.modules)
        try:
            failure = calls.recv()
        except (EOFError, OSError):
            failure = f"it {self._how_it_ended()}"
        if failure is not None:
            raise UserError(
                f"A worker process could not start ({failure}); mend that, or do without one by --executor inline."
            )
        self.calls = calls
        return calls

    def _how_it_ended(self) -> str:
        self.calls = None
        self.process.join(SECONDS_TO_END)
        code = self.process.exitcode
        if code is None:
            self.process.kill()
            return "closed its pipe"
        if code >= 0:
            return f"ended by itself with exit code {code}"
        memory = ", likely because memory ran out (--workers 1 takes less)" if code == -signal.SIGKILL else ""
        return f"was ended by {signal.Signals(-code).name}{memory}"


class ProcessExecutor(Executor):
    """Worker processes that live and die apart: what ends one costs the others nothing."""

    def __init__(self, devices: list[str], modules: list[str]) -> None:
        self.workers = [WorkerProcess(device, modules) for device in devices]
        self.threads = ThreadPoolExecutor(len(devices), thread_name_prefix="robustbench_pix-worker")
        self.free = SimpleQueue[WorkerProcess]()
        for one in self.workers:
            self.free.put(one)

    def submit(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        """Return the future of a call in the next process that is free."""
        return self.threads.submit(self._call, fn, *args)

    def end(self) -> None:
        """End all processes at once, whatever they do."""
        for one in self.workers:
            one.end()
        self.threads.shutdown(cancel_futures=True)

    def _call(self, function: Callable[..., T], *arguments: Any) -> T:
        one = self.free.get()
        try:
            return one.call(function, *arguments)
        finally:
            self.free.put(one)


@contextmanager
def processes(devices: list[str]) -> Iterator[Executor]:
    """Give an executor of one process a device; at the end, on Ctrl-C as on any exception, the processes are ended."""
    executor = ProcessExecutor(devices, modules_that_register())
    try:
        yield executor
    finally:
        executor.end()


def modules_that_register() -> list[str]:
    """Return the modules of others whose decorators have registered something in this process."""
    references = [registry.portable(name) for registry in ALL for name in registry.registered]
    modules = {reference.partition(":")[0] for reference in references if reference}
    return sorted(module for module in modules if module.partition(".")[0] != HOME)

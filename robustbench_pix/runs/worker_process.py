"""Worker processes: forked from a server that has imported the libraries once, they answer calls over a pipe.

A worker needs no semaphores, so it does without /dev/shm, and never imports the script that this process runs.
"""

import importlib
import multiprocessing
import multiprocessing.util
import os
import signal
import sys
import tempfile
import threading
import traceback
import types
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from multiprocessing.connection import Connection
from threading import Lock
from typing import Any

from robustbench_pix.errors import UserError

PRELOADED = ["torch", "robustbench_pix.runs.training_job", "robustbench_pix.runs.attack_job", "pyarrow.parquet"]

ENVIRONMENT = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1") | {
    "MALLOC_MMAP_THRESHOLD_": str(2**25),
    "MALLOC_TOP_PAD_": str(2**26),
    "MALLOC_TRIM_THRESHOLD_": str(2**30),
    "PYTHONSAFEPATH": "1",
}
"""Of worker processes. One thread each: two oversubscribed ones run several times slower. And glibc is to keep the
memory of feature maps from one layer to the next, which a page fault for every 4 KiB would cost a tenth of the time.
No file in the current folder shadows a module of the standard library."""

LONGEST_FOLDER = 70
"""Bytes of a temporary folder in which the name of a socket fits: of 104 to 108, multiprocessing takes 32."""

_beginning = Lock()

SHORT_FOLDERS = ("/tmp", "/var/tmp", "/run/user/{}", "/dev/shm")


def begin_server() -> None:
    """Let the server import, in the background, while this process plans.

    Raises:
        UserError: it cannot be begun here.
    """
    if context().get_start_method() == "forkserver":
        from multiprocessing import forkserver

        with _as_a_worker_wants():
            forkserver.ensure_running()


def begin_process(device: str, modules: list[str]) -> tuple[Any, Connection]:
    """Begin a worker process that serves calls; return it and our end of its pipe.

    Raises:
        UserError: it cannot be begun here.
    """
    begun = context()
    with _as_a_worker_wants():
        ours, theirs = begun.Pipe()
        process = begun.Process(target=serve, args=(theirs, device, modules), name="robustbench_pix worker")
        process.start()
        theirs.close()
    return process, ours


def context() -> Any:
    """Return multiprocessing's context: the server's, or on a system that has none a process from scratch."""
    if "forkserver" not in multiprocessing.get_all_start_methods():
        return multiprocessing.get_context("spawn")
    chosen = multiprocessing.get_context("forkserver")
    chosen.set_forkserver_preload(PRELOADED)
    return chosen


@contextmanager
def _as_a_worker_wants() -> Iterator[None]:
    """Begin a process: with the environment of workers, a short place for sockets, and no script to import."""
    with _beginning:
        before = {name: os.environ.get(name) for name in ENVIRONMENT}
        script = sys.modules["__main__"]
        os.environ.update(ENVIRONMENT)
        sys.modules["__main__"] = types.ModuleType("__main__")
        try:
            _choose_place_of_sockets()
            yield
        except (OSError, EOFError) as error:
            raise UserError(
                f"Worker processes cannot be begun here ({_cause(error)}); mend that, or do without by "
                "--executor inline."
            ) from error
        finally:
            sys.modules["__main__"] = script
            for name, value in before.items():
                if value is None:
                    os.environ.pop(name, None)
                else:
                    os.environ[name] = value


def _choose_place_of_sockets() -> None:
    """Let multiprocessing, which puts sockets into the temporary folder, use another one where its name is too long."""
    chosen = tempfile.gettempdir()
    if os.name != "posix" or len(os.fsencode(chosen)) <= LONGEST_FOLDER:
        return
    for folder in (name.format(os.getuid()) for name in SHORT_FOLDERS):
        if os.access(folder, os.W_OK | os.X_OK):
            tempfile.tempdir = folder
            try:
                multiprocessing.util.get_temp_dir()
            finally:
                tempfile.tempdir = chosen
            return
    raise UserError(
        f"TMPDIR ({chosen}) is too long for the sockets of worker processes; give one of at most {LONGEST_FOLDER} "
        "characters, or --executor inline."
    )


def _cause(error: OSError | EOFError) -> str:
    import resource

    files = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    if isinstance(error, EOFError) or "Too many open files" in str(error):
        return f"only {files} files may be open at once; ulimit -n 256 allows more"
    return error.strerror or str(error)


def serve(calls: Connection, device: str, modules: Sequence[str]) -> None:
    """Say None once this process is ready, or why it cannot be; then answer calls until the pipe closes.

    A call is a function with its arguments; an answer is a result and an exception, one of both None.

    Args:
        calls: this process's end of the pipe.
        device: where it computes.
        modules: what it imports first, since decorators in them register something.
    """
    try:
        _begin(device, modules)
    except BaseException as error:
        calls.send(f"{type(error).__name__}: {error}")
        return
    calls.send(None)
    while True:
        try:
            function, arguments = calls.recv()
        except EOFError:
            return
        calls.send(_answer(function, arguments))


def _begin(device: str, modules: Sequence[str]) -> None:
    from robustbench_pix.foreign import given_up
    from robustbench_pix.runs import worker

    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's.
    threading.Thread(target=_end_with_parent, daemon=True).start()
    given_up()
    worker._device = device
    for module in modules:
        importlib.import_module(module)


def _answer(function: Any, arguments: Any) -> tuple[Any, Exception | None]:
    from robustbench_pix.errors import UserError

    try:
        return function(*arguments), None
    except UserError as error:
        return None, error
    except BaseException:  # Not every exception can be sent.
        return None, RuntimeError(f"A worker process raised what no job should:\n{traceback.format_exc()}")


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)

"""Code of others: a model, a penalty, an attack, a data set.

What it raises concerns it alone, save a real Ctrl-C. What it writes goes to standard error, from C as well as from
Python: standard output is ours alone.
"""

import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout, suppress
from types import FrameType

OUTPUT, ERRORS = 1, 2
"""File descriptors, the same on every system."""


class ForeignExitError(Exception):
    """Code of others raised what ends a program: ``SystemExit``, ``KeyboardInterrupt``, ``GeneratorExit``.

    A class of the same name is derived from this one for each, so that sentences name what was raised.
    """


class _Keyboard:
    """Whether Ctrl-C is watched, and was pressed since."""

    watched = pressed = False


@contextmanager
def watched_keyboard() -> Iterator[None]:
    """Tell a real Ctrl-C from a ``KeyboardInterrupt`` that code raises, for as long as this lasts."""
    earlier = signal.getsignal(signal.SIGINT)
    if threading.current_thread() is not threading.main_thread() or not callable(earlier) or _Keyboard.watched:
        yield
        return

    def handle(number: int, frame: FrameType | None) -> None:
        _Keyboard.pressed = True
        earlier(number, frame)

    _Keyboard.watched, _Keyboard.pressed = True, False
    signal.signal(signal.SIGINT, handle)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, earlier)
        _Keyboard.watched = _Keyboard.pressed = False


def raise_if_stopped(error: BaseException) -> None:
    """Raise ``KeyboardInterrupt`` if a person pressed Ctrl-C, whatever code of others has made of it."""
    unwatched = not _Keyboard.watched and signal.getsignal(signal.SIGINT) is signal.default_int_handler
    if _Keyboard.pressed or (unwatched and isinstance(error, KeyboardInterrupt)):
        raise KeyboardInterrupt from error


@contextmanager
def foreign_code() -> Iterator[None]:
    """Run code of others; what ends a program becomes an error like any other.

    Raises:
        ForeignExitError: it called ``exit()`` or raised another exception that is no ``Exception``.
        KeyboardInterrupt: a person pressed Ctrl-C.
    """
    try:
        yield
    except Exception:
        raise
    except BaseException as error:
        raise_if_stopped(error)
        raise type(type(error).__name__, (ForeignExitError,), {})(str(error)) from error


@contextmanager
def lent_to_others() -> Iterator[None]:
    """Run code of others, which finds standard error wherever it looks for standard output."""
    _flush()
    kept = os.dup(OUTPUT)
    os.dup2(ERRORS, OUTPUT)
    try:
        with redirect_stdout(sys.stderr):
            yield
    finally:
        _flush()
        os.dup2(kept, OUTPUT)
        os.close(kept)


def given_up() -> None:
    """Let everything that this process writes from now on go to standard error."""
    _flush()
    os.dup2(ERRORS, OUTPUT)
    sys.stdout = sys.stderr


def _flush() -> None:
    """Write what is still in memory, Python's and the C library's."""
    for stream in (sys.stdout, sys.__stdout__):
        if stream is not None:
            with suppress(ValueError):  # It was closed.
                stream.flush()
    if os.name == "posix":
        import ctypes

        ctypes.CDLL(None).fflush(None)

"""The log of a worker: beginning and end of each job, warnings of libraries, tracebacks; every line names its job.

A log never ends a run: what cannot be written is dropped. A file holds at most ``BYTES_OF_A_FILE`` and has one
predecessor of that size; files that nobody wrote for ``KEPT_SECONDS`` go when another worker begins its own.
"""

import logging
import os
import time
import warnings
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from logging.handlers import RotatingFileHandler
from pathlib import Path
from threading import RLock
from typing import Any

from robustbench_pix.identity import digest
from robustbench_pix.runs.scratch import ourselves

LOGS = "logs"
LEVEL = "RBP_LOG_LEVEL"
"""The variable of the environment, which worker processes inherit."""

LEVELS = {"debug": logging.DEBUG, "info": logging.INFO, "warning": logging.WARNING, "error": logging.ERROR}
BYTES_OF_A_FILE = 4 * 2**20
KEPT_SECONDS = 30 * 86_400

Steps = Generator[None, None, None]


class JobLog(RotatingFileHandler):
    """The log of this process in one folder; several threads may do jobs at once."""

    def __init__(self, path: Path) -> None:
        super().__init__(
            path, maxBytes=BYTES_OF_A_FILE, backupCount=1, encoding="utf-8", errors="backslashreplace", delay=True
        )
        self.setLevel(LEVELS.get(os.environ.get(LEVEL, ""), logging.INFO))
        self.users = 0

    def steps(self, title: str, steps: Steps) -> Steps:
        """Take the steps of a job; what is logged meanwhile is under its title."""
        try:
            while True:
                before = _doing.set((self, title))
                try:
                    next(steps)
                except StopIteration:
                    return
                finally:
                    _doing.reset(before)
                yield
        finally:
            steps.close()

    def say(self, level: int, text: str, error: BaseException | None = None) -> None:
        """Write a line about the job whose step is taken, and the traceback of an error."""
        if level >= self.level:
            info = (type(error), error, error.__traceback__) if error else None
            self.handle(logging.LogRecord(__name__, level, __file__, 0, text, (), info))

    def emit(self, record: logging.LogRecord) -> None:
        """Write what a job of this log's says; what nobody else hears goes to standard error as ever."""
        doing = _doing.get()
        if doing is not None and doing[0] is self:
            super().emit(record)
        last = logging.lastResort
        of_others = record.name != __name__
        if of_others and last and record.levelno >= last.level and not _is_heard(record.name):
            last.handle(record)

    def format(self, record: logging.LogRecord) -> str:
        """Return the lines of a record, each with time, level and job."""
        doing = _doing.get()
        when = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(record.created))
        head = f"{when} {record.levelname:7} [{doing[1] if doing else ''}] "
        return "\n".join(head + line for line in super().format(record).splitlines())

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802
        """Drop what cannot be written."""


_doing = ContextVar[tuple[JobLog, str] | None]("the log and the title of the job that is done", default=None)
_open = dict[Path, JobLog]()
_lock = RLock()


@contextmanager
def job_log(runs: Path) -> Iterator[JobLog]:
    """Give the log of this process beside a folder of runs, for as long as jobs are done; it is written lazily."""
    folder = runs.parent / LOGS
    with _lock:
        log = _open.get(folder) or _begin(folder)
        log.users += 1
    try:
        yield log
    finally:
        with _lock:
            log.users -= 1
            if not log.users:
                _end(folder)


def _begin(folder: Path) -> JobLog:
    who = ourselves()
    path = folder / f"{who.host}-{who.process}-{digest(who)[:6]}.log"
    with suppress(OSError):
        folder.mkdir(exist_ok=True)
        if not path.exists():
            _forget_old(folder)
    log = _open[folder] = JobLog(path)
    logging.getLogger().addHandler(log)
    if len(_open) == 1:
        _Before.keep()
        warnings.showwarning = _show_warning
        if log.level < logging.INFO:
            logging.getLogger().setLevel(log.level)
    return log


def _end(folder: Path) -> None:
    log = _open.pop(folder)
    logging.getLogger().removeHandler(log)
    with suppress(OSError):
        log.close()
    if not _open:
        _Before.bring_back()


class _Before:
    """What this process did with warnings and records before any job was done."""

    show_warning: Callable[..., None]
    level: int

    @classmethod
    def keep(cls) -> None:
        cls.show_warning, cls.level = warnings.showwarning, logging.getLogger().level

    @classmethod
    def bring_back(cls) -> None:
        warnings.showwarning = cls.show_warning
        logging.getLogger().setLevel(cls.level)


def _show_warning(
    message: Warning | str, category: type[Warning], filename: str, lineno: int, file: Any = None, line: Any = None
) -> None:
    doing = _doing.get()
    if doing is not None:
        doing[0].say(logging.WARNING, f"{category.__name__} of {filename}:{lineno}: {message}")
    _Before.show_warning(message, category, filename, lineno, file, line)


def _is_heard(name: str) -> bool:
    """Return whether a logger has another handler than a log of ours, so that Python needs no last resort."""
    logger: logging.Logger | None = logging.getLogger(name)
    while logger is not None:
        if any(not isinstance(handler, JobLog) for handler in logger.handlers):
            return True
        logger = logger.parent if logger.propagate else None
    return False


def _forget_old(folder: Path) -> None:
    for path in folder.glob("*.log*"):
        with suppress(OSError):
            if time.time() - path.stat().st_mtime > KEPT_SECONDS:
                path.unlink()

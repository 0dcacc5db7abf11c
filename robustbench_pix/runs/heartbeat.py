"""Heartbeats: a file or folder that is touched every few seconds, for as long as somebody is at work on it.

Ages are taken by the clock of the file system, which all machines that share a disk see alike.
"""

import os
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

BEAT_SECONDS = 10.0
DEAD_AFTER_SECONDS = 90.0
"""Nine beats: a busy disk or a stopped process delays a few of them."""


@contextmanager
def beating(path: Path) -> Iterator[None]:
    """Touch a file or folder now and then for as long as this lasts; where it is gone it is not made again."""
    ended = threading.Event()

    def beat() -> None:
        while not ended.wait(BEAT_SECONDS):
            with suppress(OSError):
                os.utime(path)

    thread = threading.Thread(target=beat, name="robustbench_pix heartbeat", daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


def age_seconds(path: Path) -> float:
    """Return for how long a file or folder was not touched; infinite where it is gone."""
    try:
        return file_system_time(path.parent) - path.stat().st_mtime
    except OSError:
        return float("inf")


def file_system_time(folder: Path) -> float:
    """Return what the file system of a folder gives as the time, or the time here where nothing can be written."""
    probe = folder / f".now-{uuid.uuid4().hex[:8]}"
    try:
        probe.touch()
        return probe.stat().st_mtime
    except OSError:
        return time.time()
    finally:
        with suppress(OSError):
            probe.unlink(missing_ok=True)

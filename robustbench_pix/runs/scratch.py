"""Scratch folders: which process writes one, whether it still does, and when it last did.

Several containers may share a disk, a host name and process numbers. So a scratch folder is named after the boot of
the kernel, the namespace of processes and the start of its process, and is locked while it is written. Only what this
kernel knows to be dead is dead; what another kernel wrote is judged by its age.
"""

import fcntl
import os
import re
import socket
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import lru_cache
from pathlib import Path
from typing import Literal, NamedTuple

SCRATCH = ".scratch"
ABANDONED_SECONDS = 24 * 3600
"""A scratch folder of another kernel untouched for this long counts as abandoned; a job touches its own often."""

LOCKED_BY_SECONDS = 60
"""By then a new scratch folder is locked; it takes far less than a millisecond."""

Fate = Literal["written", "left", "unknown"]


class Writer(NamedTuple):
    """The process that writes a scratch folder; ``start`` in ticks of the kernel since its boot."""

    host: str
    process: str
    boot: str
    namespace: str
    start: str


def scratch_name(run: str) -> str:
    """Return a new name for a scratch folder of this process."""
    return "~".join([f"{SCRATCH}-{run}", *_ourselves(os.getpid()), uuid.uuid4().hex[:8]])


def writer(scratch: Path) -> Writer | None:
    """Return who writes a scratch folder, by its name, or None where the name does not say it."""
    _, *fields = scratch.name.split("~")
    return Writer(*fields[:5]) if len(fields) == 6 and fields[1].isdecimal() else None


def fate(scratch: Path) -> Fate:
    """Return whether a scratch folder is being written, was left by a process that is dead, or neither is known."""
    who, here = writer(scratch), _ourselves(os.getpid())
    if who is None or (who.host, who.boot) != (here.host, here.boot):
        return "unknown"
    if who.namespace == here.namespace:
        return "written" if _start(int(who.process)) == who.start else "left"
    with locked(scratch, ALONE | AT_ONCE) as free:
        if free is False:
            return "written"
        return "left" if free and untouched_seconds(scratch) > LOCKED_BY_SECONDS else "unknown"


def untouched_seconds(scratch: Path) -> float:
    """Return for how long nothing in a scratch folder was written."""
    times = [0.0]
    for path in (scratch, *scratch.rglob("*")):
        with suppress(OSError):
            times.append(path.stat().st_mtime)
    return time.time() - max(times)


@lru_cache(maxsize=1)
def _ourselves(process: int) -> Writer:
    host = re.sub(r"[^\w.-]", "_", socket.gethostname())
    return Writer(host, str(process), _kernel_boot(), _namespace(), _start(process) or "")


def _kernel_boot() -> str:
    with suppress(OSError):
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    return ""


def _namespace() -> str:
    with suppress(OSError):
        return re.sub(r"\D", "", str(Path("/proc/self/ns/pid").readlink()))
    return ""


def _start(process: int) -> str | None:
    """Return when a process of this namespace started, "" where that is unknown, None where there is none."""
    with suppress(OSError, IndexError):
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[19]
    try:
        os.kill(process, 0)
    except (ProcessLookupError, OverflowError):
        return None
    except PermissionError:
        return ""
    return ""


SHARED, ALONE, AT_ONCE = fcntl.LOCK_SH, fcntl.LOCK_EX, fcntl.LOCK_NB


@contextmanager
def locked(folder: Path, how: int) -> Iterator[bool | None]:
    """Hold a lock on a folder; give True, False where ``AT_ONCE`` finds another holder, None where none can be had.

    Some network file systems lock no folders; whoever works there is not kept apart.
    """
    try:
        descriptor = os.open(folder, os.O_RDONLY)
    except OSError:
        yield None
        return
    held: bool | None = None
    with suppress(OSError):
        try:
            fcntl.flock(descriptor, how)
            held = True
        except BlockingIOError:
            held = False
    try:
        yield held
    finally:
        os.close(descriptor)

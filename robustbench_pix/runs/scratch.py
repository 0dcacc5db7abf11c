"""Scratch folders: which process writes one, whether it still does, and when it last did.

Several containers may share a disk, a host name and process numbers. So a scratch folder is named after the boot of
the kernel, the namespace of processes and the start of its process, is locked while it is written, and has a heartbeat.
What this kernel knows to be dead is dead; what another kernel wrote is judged by the age of its last heartbeat.
"""

import fcntl
import os
import re
import socket
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import lru_cache
from pathlib import Path
from typing import Literal, NamedTuple

from robustbench_pix.runs.heartbeat import DEAD_AFTER_SECONDS, age_seconds

SCRATCH = ".scratch"
ABANDONED_SECONDS = 3600
"""A scratch folder of another kernel whose heart has not beaten for this long was left; a machine may sleep so long."""

LOCKED_BY_SECONDS = 60
"""By then a new scratch folder is locked; it takes far less than a millisecond."""

ENDED_STATES = frozenset("ZXx")
"""Of a process that has ended and is not waited for yet."""

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
    return "~".join([f"{SCRATCH}-{run}", *ourselves(), uuid.uuid4().hex[:8]])


def scratched_run(scratch: Path) -> str:
    """Return the name of the run that a scratch folder becomes."""
    return scratch.name.removeprefix(f"{SCRATCH}-").partition("~")[0]


def writer(scratch: Path) -> Writer | None:
    """Return who writes a scratch folder, by its name, or None where the name does not say it."""
    _, *fields = scratch.name.split("~")
    return Writer(*fields[:5]) if len(fields) == 6 and fields[1].isdecimal() else None


def fate(scratch: Path) -> Fate:
    """Return whether a scratch folder is being written, was left by a process that is dead, or neither is known."""
    who, here = writer(scratch), ourselves()
    if who and is_neighbour(who):
        return "written" if is_running(who) else "left"
    if who and who.boot == here.boot:
        with locked(scratch, ALONE | AT_ONCE) as free:
            if free is not None:
                left = free and age_seconds(scratch) > LOCKED_BY_SECONDS
                return "left" if left else "unknown" if free else "written"
    age = age_seconds(scratch)
    return "written" if age < DEAD_AFTER_SECONDS else "left" if age > ABANDONED_SECONDS else "unknown"


def ourselves() -> Writer:
    """Return this process as a writer."""
    return _ourselves(os.getpid())


def is_neighbour(who: Writer) -> bool:
    """Return whether a process is of this kernel and namespace, so that its number and start say whether it runs."""
    here = ourselves()
    return (who.boot, who.namespace) == (here.boot, here.namespace) and (bool(here.boot) or who.host == here.host)


def is_running(who: Writer) -> bool:
    """Return whether a neighbour still runs."""
    return _start(int(who.process)) == who.start


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
        fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
        return None if fields[0] in ENDED_STATES else fields[19]
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

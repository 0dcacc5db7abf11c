"""Claims: which client does a job, so that two of them do not both.

A claim is a file beside the run folders, made so that only one client can make it; it holds the client's name and
counts for as long as that client lives. If two should hold one all the same, both do the job and one result stays.

Network file systems may hide a new folder from other machines for up to a minute, but not that a claim is there: on
them the claim of a job that is done stays a while, and says so.
"""

import os
import time
import uuid
from collections import deque
from contextlib import suppress
from pathlib import Path

from robustbench_pix.runs.clients import Client, is_living
from robustbench_pix.runs.heartbeat import DEAD_AFTER_SECONDS, age_seconds

CLAIM = ".claim-"
DONE = "done"
HIDDEN_SECONDS = 90.0
"""By then every machine sees a new folder; NFS remembers for up to 60 s that one was not there."""

LOCAL = frozenset({"apfs", "btrfs", "ext2", "ext3", "ext4", "f2fs", "jfs", "overlay", "ramfs", "tmpfs", "xfs", "zfs"})
"""Types of file systems of one machine, which hide nothing."""


class Claims:
    """The claims of one client on the jobs of a store at ``root``."""

    def __init__(self, root: Path, client: Client) -> None:
        self.root, self.client, self.held = root, client, set[str]()
        self.hides, self.done = hides_news(root), deque[tuple[float, str]]()

    def take(self, job: str) -> bool:
        """Claim a job; return False where another client that lives has it.

        Raises:
            OSError: nothing can be written there.
        """
        if job in self.held or self._make(job):
            return True
        held_by = holder(self.root, job)
        if held_by is not None and is_held(self.root, job):
            return False
        _forget(self.root, job, held_by)
        return self._make(job)

    def is_elsewhere(self, job: str) -> bool:
        """Return whether another client that lives claims a job."""
        return holder(self.root, job) != self.client.name and is_held(self.root, job)

    def release_all(self) -> None:
        """Give up all claims of ours."""
        for job in list(self.held):
            self.release(job)

    def finish(self, job: str) -> None:
        """Give up our claim of a job that is done, now or once every machine sees its folder."""
        if not self.hides:
            self.release(job)
            return
        self.held.discard(job)
        with suppress(OSError):
            self._path(job).write_text(DONE)
        self.done.append((time.monotonic(), job))
        while self.done and self.done[0][0] < time.monotonic() - HIDDEN_SECONDS:
            with suppress(OSError):
                self._path(self.done.popleft()[1]).unlink()

    def release(self, job: str) -> None:
        """Give up a claim of ours."""
        self.held.discard(job)
        if holder(self.root, job) == self.client.name:
            with suppress(OSError):
                self._path(job).unlink()

    def _path(self, job: str) -> Path:
        return self.root / f"{CLAIM}{job}"

    def _make(self, job: str) -> bool:
        try:
            descriptor = os.open(self._path(job), os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o644)
        except FileExistsError:
            return False
        try:
            os.write(descriptor, self.client.name.encode())
        finally:
            os.close(descriptor)
        self.held.add(job)
        return True


def holder(root: Path, job: str) -> str | None:
    """Return the name of the client that claims a job; "" where its name is not written yet; None if none does."""
    try:
        return (root / f"{CLAIM}{job}").read_text()
    except OSError:
        return None


def is_held(root: Path, job: str) -> bool:
    """Return whether a client that lives claims a job, or one finished it a moment ago."""
    name = holder(root, job)
    if name in ("", DONE):
        return age_seconds(root / f"{CLAIM}{job}") < (HIDDEN_SECONDS if name else DEAD_AFTER_SECONDS)
    return name is not None and is_living(root, name)


def claimed(root: Path) -> dict[str, str]:
    """Return the names of the clients that claim jobs, dead ones included, by the names of the jobs."""
    jobs = (path.name.removeprefix(CLAIM) for path in root.glob(f"{CLAIM}*"))
    return {job: name for job in jobs if (name := holder(root, job)) is not None}


def hides_news(root: Path) -> bool:
    """Return whether the file system of a folder may hide for a while what another machine made there."""
    here, found = root.resolve(), (0, "")
    with suppress(OSError):
        for line in Path("/proc/self/mounts").read_text().splitlines():
            _, place, kind, *_ = line.split()
            mounted = Path(place.encode().decode("unicode_escape"))
            if here.is_relative_to(mounted):
                found = max(found, (len(mounted.parts), kind), key=lambda one: one[0])
    return found[1] not in LOCAL | {""}


def forget_dead_claims(root: Path) -> None:
    """Remove the claims of clients that live no more."""
    for job in claimed(root):
        name = holder(root, job)
        if name is not None and not is_held(root, job):
            _forget(root, job, name)


def _forget(root: Path, job: str, judged: str | None) -> None:
    """Remove the claim of the client that was judged dead; one that another client made meanwhile is put back."""
    path, aside = root / f"{CLAIM}{job}", root / f".dead-claim-{uuid.uuid4().hex[:8]}"
    with suppress(FileNotFoundError):
        path.rename(aside)
        if aside.read_text() != (judged or ""):
            with suppress(OSError):
                os.link(aside, path)
        aside.unlink(missing_ok=True)

"""Claims: which client does a job, so that two of them do not both.

A claim is a file beside the run folders, made so that only one client can make it; it holds the client's name and
counts for as long as that client lives. If two should hold one all the same, both do the job and one result stays.
"""

import os
import uuid
from contextlib import suppress
from pathlib import Path

from robustbench_pix.runs.clients import Client, is_living
from robustbench_pix.runs.heartbeat import DEAD_AFTER_SECONDS, age_seconds

CLAIM = ".claim-"


class Claims:
    """The claims of one client on the jobs of a store at ``root``."""

    def __init__(self, root: Path, client: Client) -> None:
        self.root, self.client, self.held = root, client, set[str]()

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

    def release(self, job: str) -> None:
        """Give up a claim of ours."""
        self.held.discard(job)
        if holder(self.root, job) == self.client.name:
            with suppress(OSError):
                (self.root / f"{CLAIM}{job}").unlink(missing_ok=True)

    def _make(self, job: str) -> bool:
        try:
            descriptor = os.open(self.root / f"{CLAIM}{job}", os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o644)
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
    """Return whether a client that lives claims a job."""
    name = holder(root, job)
    if name == "":
        return age_seconds(root / f"{CLAIM}{job}") < DEAD_AFTER_SECONDS
    return name is not None and is_living(root, name)


def claimed(root: Path) -> dict[str, str]:
    """Return the names of the clients that claim jobs, dead ones included, by the names of the jobs."""
    jobs = (path.name.removeprefix(CLAIM) for path in root.glob(f"{CLAIM}*"))
    return {job: name for job in jobs if (name := holder(root, job)) is not None}


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

"""Clients: the commands that are at work on a workspace, on whatever machine, and whether they still are.

A client keeps a small file beside the runs, with a heartbeat. What died on this kernel is known at once; of another
machine, container or namespace a client counts as dead once its heart has not beaten for ``DEAD_AFTER_SECONDS``.
"""

import json
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from robustbench_pix.runs.heartbeat import DEAD_AFTER_SECONDS, age_seconds, beating
from robustbench_pix.runs.scratch import Writer, is_neighbour, is_running, ourselves

CLIENTS = ".clients"
RUN, CLEAN = "run", "clean"
WAIT_SECONDS = 0.25


class Client(NamedTuple):
    """A command at work: the name of its file, what it does, and its process; ``facts`` are for people."""

    name: str
    purpose: str
    process: Writer
    facts: dict[str, Any]

    @property
    def where(self) -> str:
        """The process and its host, in words."""
        return f"process {self.process.process} on {self.process.host}"


@contextmanager
def at_work(root: Path, purpose: str, facts: dict[str, Any] | None = None) -> Iterator[Client]:
    """Be a client of the store at ``root`` for as long as this lasts, and let others see it.

    Args:
        root: the folder of runs, which exists.
        purpose: ``RUN``, or ``CLEAN``, which nothing else may accompany.
        facts: JSON values for whoever looks.

    Raises:
        OSError: nothing can be written there.
    """
    name = uuid.uuid4().hex[:16]
    client = Client(name, purpose, ourselves(), facts or {})
    path = root / CLIENTS / f"{name}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    half = path.with_suffix(".half")
    half.write_text(json.dumps({"purpose": purpose, "process": client.process, "facts": client.facts}))
    half.replace(path)
    try:
        with beating(path):
            yield client
    finally:
        path.unlink(missing_ok=True)


def living(root: Path) -> list[Client]:
    """Return the clients that are at work, in the order of their names."""
    found = ((path, _read(path)) for path in sorted((root / CLIENTS).glob("*.json")))
    return [client for path, client in found if client and _is_living(client, path)]


def is_living(root: Path, name: str) -> bool:
    """Return whether the client of this name is at work."""
    path = root / CLIENTS / f"{name}.json"
    client = _read(path)
    return client is not None and _is_living(client, path)


def forget_dead(root: Path) -> None:
    """Remove the files of clients that are at work no more."""
    for path in (root / CLIENTS).glob("*"):
        client = _read(path)
        if not (_is_living(client, path) if client else age_seconds(path) < DEAD_AFTER_SECONDS):
            path.unlink(missing_ok=True)


def wait_for_cleaners(root: Path) -> None:
    """Wait until nobody cleans the store; whoever begins to clean meanwhile finds us, and gives up."""
    while any(client.purpose == CLEAN for client in living(root)):
        time.sleep(WAIT_SECONDS)


def _read(path: Path) -> Client | None:
    try:
        stated = json.loads(path.read_bytes())
        return Client(path.stem, stated["purpose"], Writer(*stated["process"]), stated["facts"])
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _is_living(client: Client, path: Path) -> bool:
    if is_neighbour(client.process):
        return is_running(client.process)
    return age_seconds(path) < DEAD_AFTER_SECONDS

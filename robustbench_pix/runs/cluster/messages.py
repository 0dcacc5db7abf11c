"""What a client and a worker say to each other.

A call travels as bytes that only the worker reads: a scheduler needs neither this package nor torch.
"""

import pickle
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from robustbench_pix.runs.job import Job


@dataclass(frozen=True)
class Places:
    """Where a client has its workspace, the catalogue of the package, and the data sets, all absolute."""

    workspace: Path
    shipped: Path
    data_root: Path


@dataclass(frozen=True)
class Order:
    """Jobs to do.

    Attributes:
        jobs: done side by side.
        device: ``cpu``, or ``cuda``, of which a worker takes one that no other worker has.
        import_path, modules: where the client imports from, and what it imports since decorators there register
            something.
        data_root: of the data sets on workers; the client's on a shared disk, else the worker's own, where None.
        places: of the client.
        catalogue: where no disk is shared, the digest of the client's own catalogue files; else None.
        parcels: where no disk is shared, what the worker said that it lacks, packed, by name.
    """

    jobs: list[Job]
    device: str
    import_path: list[str]
    modules: list[str]
    data_root: Path | None
    places: Places
    catalogue: str | None = None
    parcels: dict[str, bytes] = field(default_factory=dict)


@dataclass(frozen=True)
class Answer:
    """What a worker did.

    Attributes:
        failed: why jobs failed, by their names.
        lacking: what it needs first, by name; then it did nothing.
        worker: the address of the worker that lacks something.
        made: where no disk is shared, the run folders it made, packed, by name.
    """

    failed: dict[str, str] = field(default_factory=dict)
    lacking: tuple[str, ...] = ()
    worker: str | None = None
    made: dict[str, bytes] = field(default_factory=dict)


class _Call:
    """A call that is made by being unpickled."""

    def __init__(self, function: Callable[..., Any], arguments: tuple[Any, ...]) -> None:
        self.function, self.arguments = function, arguments

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        return self.function, self.arguments


def sealed_call(function: Callable[..., Any], *arguments: Any) -> bytes:
    """Return a call as bytes; ``pickle.loads`` of them calls the function and returns its result.

    >>> pickle.loads(sealed_call(max, 2, 3))
    3
    """
    return pickle.dumps(_Call(function, arguments))

"""The queues that dask-jobqueue knows, their options by name, and when a worker ends before its job must."""

import inspect
import re
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from typing import Any

from robustbench_pix.errors import UserError

KUBERNETES = "kubernetes"
HIDDEN = frozenset({"self", "scheduler", "args", "kwargs", "job_kwargs", "base_class_kwargs", "scheduler_cls"})

LONGEST_MARGIN_SECONDS = 300
SHORTEST_MARGIN_SECONDS = 20
"""Between the mean end of workers and the walltime; half of it is the spread of the ends."""

INSTALL = "install it with pip install 'robustbench-pix[cluster]'"


def queue_names() -> list[str]:
    """Return the names of the queues, such as ``slurm``; none where dask-jobqueue is not installed."""
    return sorted(_classes())


def queue_class(name: str) -> Any:
    """Return the class of dask-jobqueue for a queue of ``queue_names()``."""
    return _classes()[name]


def queue_options(cluster: Any) -> set[str]:
    """Return the names of the options of a class of dask-jobqueue: its own, those of its jobs, and of their bases."""
    classes = [*cluster.__mro__[:-1], *cluster.job_cls.__mro__[:-1]]
    ours = [each for each in classes if each.__module__.startswith("dask_jobqueue")]
    return {name for each in ours for name in inspect.signature(each.__init__).parameters} - HIDDEN


def kubernetes_class() -> Any:
    """Return the KubeCluster of dask-kubernetes.

    Raises:
        UserError: dask-kubernetes is not installed.
    """
    if find_spec("dask_kubernetes") is None:
        raise UserError("A cluster of the kind kubernetes needs dask-kubernetes; pip install dask-kubernetes.")
    from dask_kubernetes.operator import KubeCluster

    return KubeCluster


def lifetime(walltime: str, queue: str = "slurm") -> tuple[int, int] | None:
    """Return after how many seconds workers end, and how far their ends are spread, or None for an unknown format.

    Formats: ``D-HH:MM:SS``, ``HH:MM:SS``, ``MM:SS`` (of LSF ``HH:MM``) and minutes.

    >>> lifetime("01:00:00"), lifetime("2-00:00:00"), lifetime("2"), lifetime("01:00", "lsf"), lifetime("1h")
    ((3300, 150), (172500, 150), (100, 10), (3300, 150), None)
    """
    found = re.fullmatch(r"(?:(\d+)-)?(\d+)(?::(\d+))?(?::(\d+))?", walltime.strip())
    if not found:
        return None
    days, *parts = found.groups()
    stated = [int(part) for part in parts if part is not None]
    first_unit = 3600 if days or len(stated) == 3 or (len(stated) == 2 and queue == "lsf") else 60
    units = (first_unit, first_unit // 60, 1)
    seconds = int(days or 0) * 86_400 + sum(part * unit for part, unit in zip(stated, units, strict=False))
    margin = max(SHORTEST_MARGIN_SECONDS, min(LONGEST_MARGIN_SECONDS, seconds // 10))
    return max(1, seconds - margin), margin // 2


def _classes() -> dict[str, Any]:
    if find_spec("dask_jobqueue") is None:
        return {}
    with _ctrl_c_kept():
        import dask_jobqueue
        from dask_jobqueue.core import JobQueueCluster

    found = [each for each in vars(dask_jobqueue).values() if inspect.isclass(each)]
    queues = [each for each in found if issubclass(each, JobQueueCluster) and each is not JobQueueCluster]
    return {each.__name__.removesuffix("Cluster").lower(): each for each in queues}


@contextmanager
def _ctrl_c_kept() -> Iterator[None]:
    """Keep what Ctrl-C does: dask-jobqueue, when it is imported, lets it end the process without a word."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.getsignal(signal.SIGINT)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)

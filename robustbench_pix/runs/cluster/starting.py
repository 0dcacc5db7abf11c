"""Start the cluster that a file describes, or connect to one that runs, and end it again whatever happens."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from math import ceil
from pathlib import Path
from typing import Any

from robustbench_pix.errors import UserError
from robustbench_pix.runs.cluster.cluster_file import (
    AddressSpec,
    ClusterSpec,
    KubernetesSpec,
    LocalSpec,
    QueueSpec,
    ScaledSpec,
    SshSpec,
)
from robustbench_pix.runs.cluster.queues import INSTALL, kubernetes_class, lifetime, queue_class
from robustbench_pix.runs.cluster.quiet import CONNECT_SECONDS, dask_settings, environment_of_workers

IDLE_LOOKS = 30
"""Workers of an adaptive cluster that were idle for so many looks, one a second, are given back."""

CLOSE_SECONDS = 20

REMOTE_SECONDS = 60
"""For how long a worker on another host looks for its scheduler before it ends."""

ABANDONED_AFTER = "1 hour"
"""A scheduler that ssh began, and that a client which was killed left, ends after this time without work."""


@contextmanager
def connected(spec: ClusterSpec, logs: Path) -> Iterator[tuple[Any, Any]]:
    """Give a client of Dask, and its cluster or None where that is not ours; at the end a cluster of ours is closed.

    Args:
        spec: what to start.
        logs: a folder for what jobs of a queue write.

    Raises:
        UserError: it cannot be started or reached; the sentence holds what the queue or the library said.
    """
    try:
        import distributed
    except ImportError:
        raise UserError(f"Jobs on a cluster need Dask, which is not installed; {INSTALL}.") from None
    with dask_settings():
        cluster = None if isinstance(spec, AddressSpec) else _started(spec, logs)
        try:
            client = _client(distributed, spec.address if isinstance(spec, AddressSpec) else cluster)
            try:
                yield client, cluster
            finally:
                with suppress(Exception):
                    client.close(CLOSE_SECONDS)
        finally:
            if cluster is not None:
                with suppress(Exception):  # What is lost already needs no closing.
                    cluster.close(CLOSE_SECONDS)


def _client(distributed: Any, at: Any) -> Any:
    try:
        return distributed.Client(at, timeout=CONNECT_SECONDS, set_as_default=False)
    except (OSError, ValueError) as error:
        raise UserError(
            f"No scheduler answers at {at} within {CONNECT_SECONDS} s ({_last_line(error)}); start one there with "
            "dask scheduler, or correct the address."
        ) from error


def _started(spec: ClusterSpec, logs: Path) -> Any:
    try:
        match spec:
            case LocalSpec():
                cluster = _local(spec)
            case SshSpec():
                cluster = _ssh(spec)
            case QueueSpec():
                cluster = _queue(spec, logs)
            case KubernetesSpec():
                cluster = kubernetes_class()(n_workers=0, env=environment_of_workers(), **spec.options)
    except (ImportError, OSError, RuntimeError, TypeError, ValueError) as error:
        raise UserError(f"The cluster of the kind {spec.kind} could not be started: {_last_line(error)}.") from error
    if isinstance(spec, ScaledSpec):
        _scale(cluster, spec)
    return cluster


def _scale(cluster: Any, spec: ScaledSpec) -> None:
    """Begin the first workers and wait until they are submitted, so that a refusal is heard."""
    first = max(1, spec.least or 0) if spec.is_adaptive else spec.most_workers or 1
    try:
        if isinstance(spec, KubernetesSpec):
            cluster.scale(first)
        else:
            jobs = ceil(first / (spec.workers_each if isinstance(spec, QueueSpec) else 1))
            while len(cluster.worker_spec) < jobs:
                cluster.worker_spec.update(cluster.new_worker_spec())
            cluster.sync(cluster._correct_state)
        if spec.is_adaptive:
            cluster.adapt(minimum=spec.least, maximum=spec.most, wait_count=IDLE_LOOKS)
    except (OSError, RuntimeError, ValueError) as error:
        with suppress(Exception):
            cluster.close(CLOSE_SECONDS)
        said = _last_line(error)
        raise UserError(
            f"No workers could be had of {spec.kind}: {said}; mend that, or the file of --cluster, and run the same "
            "command again."
        ) from error


def _local(spec: LocalSpec) -> Any:
    import distributed

    from robustbench_pix.runs.cluster.local_worker import LocalWorker

    here = {"host": "127.0.0.1", "port": 0, "dashboard_address": "127.0.0.1:8787"}
    start: Any = distributed.SpecCluster  # It is not typed.
    worker = {"cls": LocalWorker, "options": {"gpus": spec.gpus}}
    return start(scheduler={"cls": distributed.Scheduler, "options": here}, worker=worker)


def _ssh(spec: SshSpec) -> Any:
    import dask
    from distributed import SSHCluster

    workers = {"nthreads": 1, "n_workers": spec.workers_each, "memory_limit": 0, "death_timeout": REMOTE_SECONDS}
    options = {
        **spec.options,
        "worker_options": {**workers, **spec.options.get("worker_options", {})},
        "scheduler_options": {"idle_timeout": ABANDONED_AFTER, **spec.options.get("scheduler_options", {})},
    }
    with dask.config.set({"distributed.logging.distributed": "info"}):  # By what they log it knows that they began.
        return SSHCluster([spec.hosts[0], *spec.hosts], **options)


def _queue(spec: QueueSpec, logs: Path) -> Any:
    options = dict(spec.options)
    environment = [f"export {name}={value}" for name, value in environment_of_workers().items()]
    options["job_script_prologue"] = [*environment, *options.get("job_script_prologue", ())]
    ends = lifetime(str(options.get("walltime", "")), spec.kind)
    if ends is not None:
        limits = ["--lifetime", f"{ends[0]}s", "--lifetime-stagger", f"{ends[1]}s"]
        options["worker_extra_args"] = [*limits, *options.get("worker_extra_args", ())]
    if spec.shared_disk:
        options.setdefault("log_directory", str(logs))
    return queue_class(spec.kind)(cores=spec.workers_each, processes=spec.workers_each, **options)


def _last_line(error: BaseException) -> str:
    """Return what an error says, of a command of a queue what that wrote to standard error."""
    text = str(error) or type(error).__name__
    said = text.rpartition("stderr:")[2].strip() if "stderr:" in text else text.strip()
    return " ".join(said.split()).rstrip(".") or type(error).__name__

"""The file of ``--cluster``: which machines a run may have, checked before any of them is taken."""

import inspect
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, PositiveFloat, PositiveInt, ValidationError, model_validator

from robustbench_pix.catalogue.findings import describe
from robustbench_pix.catalogue.specs import Spec
from robustbench_pix.catalogue.workspace import read_toml
from robustbench_pix.errors import UserError, nearest_name, unknown
from robustbench_pix.runs.cluster.queues import (
    INSTALL,
    KUBERNETES,
    kubernetes_class,
    queue_class,
    queue_names,
    queue_options,
)

DEFAULT_LOCAL_WORKERS = 2

OURS = frozenset({"cores", "processes", "n_workers", "nanny", "job_cls", "asynchronous", "loop", "name", "quiet"})
"""Options of cluster classes that follow from ``slots`` and ``workers``."""


class ClusterSpec(Spec):
    """What every file may state.

    ``shared_disk``: whether all workers see the workspace under the path that it has here; else run folders travel.
    ``data_root``: the folder of data sets on the workers; where absent, the one of here on a shared disk, and elsewhere
    RBP_DATA or the default of each worker.
    """

    kind: str
    shared_disk: bool = True
    data_root: Path | None = None
    gpus: int = Field(default=0, ge=0)

    @property
    def device(self) -> str:
        """The device of a worker: ``cuda`` or ``cpu``."""
        return "cuda" if self.gpus else "cpu"

    @property
    def most_workers(self) -> int | None:
        """The largest number of workers; None where that is not known here."""
        return None

    @property
    def is_adaptive(self) -> bool:
        """Whether workers come and go with the work."""
        return False


class ScaledSpec(ClusterSpec):
    """A cluster whose number of workers is chosen: ``workers``, or between ``least`` and ``most``."""

    workers: PositiveInt | None = None
    least: int | None = Field(default=None, ge=0)
    most: PositiveInt | None = None

    @model_validator(mode="after")
    def _one_number(self) -> "ScaledSpec":
        if (self.least is None) != (self.most is None):
            raise ValueError("least and most belong together; state both, or workers alone")
        if self.most is not None and (self.workers is not None or (self.least or 0) > self.most):
            raise ValueError("state workers, or least and most with least no larger than most")
        return self

    @property
    def most_workers(self) -> int | None:
        """The largest number of workers."""
        return self.most or self.workers

    @property
    def is_adaptive(self) -> bool:
        """Whether workers come and go with the work."""
        return self.most is not None


class LocalSpec(ScaledSpec):
    """Workers on this machine; with ``gpus`` one a GPU."""

    kind: Literal["local"] = "local"

    @property
    def most_workers(self) -> int:
        """The largest number of workers."""
        return self.most or self.workers or self.gpus or DEFAULT_LOCAL_WORKERS


class AddressSpec(ClusterSpec):
    """A scheduler that runs already. ``resources``: what a worker must have declared to be given a job."""

    kind: Literal["address"] = "address"
    address: str = Field(pattern=r"^[a-z]+://[^/\s]+$")
    resources: dict[str, PositiveFloat] = Field(default_factory=dict)


class SshSpec(ClusterSpec):
    """Hosts that ssh reaches without a password; the first one also runs the scheduler.

    ``slots``: workers of one thread each on a host; with ``gpus`` one a GPU. ``options``: of Dask's SSHCluster.
    """

    kind: Literal["ssh"] = "ssh"
    hosts: tuple[str, ...] = Field(min_length=1)
    slots: PositiveInt | None = None
    options: dict[str, Any] = Field(default_factory=dict)

    @property
    def workers_each(self) -> int:
        """The number of workers on a host."""
        return self.gpus or self.slots or 1

    @property
    def most_workers(self) -> int:
        """The number of workers."""
        return self.workers_each * len(self.hosts)

    @model_validator(mode="after")
    def _known_options(self) -> "SshSpec":
        _refuse_slots_beside_gpus(self)
        known = {"connect_options", "worker_options", "scheduler_options", "remote_python"}
        _check_options(self.options, known, "SSHCluster")
        return self


class QueueSpec(ScaledSpec):
    """Jobs of a queue such as Slurm. ``slots``: workers that one job gives. ``options``: of the dask-jobqueue class."""

    slots: PositiveInt | None = None
    options: dict[str, Any] = Field(default_factory=dict)

    @property
    def workers_each(self) -> int:
        """The number of workers that one job of the queue gives."""
        return self.gpus or self.slots or 1

    @model_validator(mode="after")
    def _known_options(self) -> "QueueSpec":
        _refuse_slots_beside_gpus(self)
        if self.most_workers is None:
            raise ValueError("workers: missing; state workers, or least and most")
        found = queue_class(self.kind)
        _check_options(self.options, queue_options(found), found.__name__)
        if "memory" not in self.options:
            raise ValueError(f'options.memory: missing; state the memory of one {self.kind} job, such as "8GB"')
        return self


class KubernetesSpec(ScaledSpec):
    """Pods of Kubernetes. ``options``: of the KubeCluster of dask-kubernetes."""

    kind: Literal["kubernetes"] = "kubernetes"
    options: dict[str, Any] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _known_options(self) -> "KubernetesSpec":
        if self.most_workers is None:
            raise ValueError("workers: missing; state workers, or least and most")
        known = set(inspect.signature(kubernetes_class()).parameters)
        _check_options(self.options, known - OURS, "KubeCluster")
        return self


KINDS: dict[str, type[ClusterSpec]] = {
    "local": LocalSpec,
    "ssh": SshSpec,
    "address": AddressSpec,
    KUBERNETES: KubernetesSpec,
}


def read_cluster(path: Path) -> ClusterSpec:
    """Return the cluster that a file describes.

    Raises:
        UserError: the file cannot be read, is of no known kind, or has unknown, missing or wrong fields.
    """
    fields = read_toml(path)
    kind = fields.get("kind")
    if kind is None:
        raise UserError(f"{path}: kind: missing; state one of {', '.join(_kinds())}.")
    spec = KINDS.get(str(kind))
    if spec is None and kind not in queue_names():
        queues = "" if queue_names() else f" Queues such as slurm need dask-jobqueue; {INSTALL}."
        raise UserError(f"{path}: {unknown('kind of cluster', str(kind), _kinds())}{queues}")
    spec = spec or QueueSpec
    try:
        return spec(**fields)
    except ValidationError as error:
        raise UserError(f"{path}: {describe(error, spec)}.") from error


def _kinds() -> list[str]:
    return [*KINDS, *queue_names()]


def _refuse_slots_beside_gpus(spec: SshSpec | QueueSpec) -> None:
    if spec.gpus and spec.slots is not None:
        raise ValueError("slots: there is one worker a GPU; state gpus alone")


def _check_options(stated: dict[str, Any], known: set[str], what: str) -> None:
    """Refuse options that a class does not have, or that other fields decide."""
    for name in stated:
        if name in OURS:
            raise ValueError(f"options.{name}: slots and workers decide it; leave it out")
        if name not in known:
            match = nearest_name(name, known)
            raise ValueError(f"options.{name}: {what} has no such option{f' (did you mean {match}?)' if match else ''}")

"""The cluster of a run: from its resources to an executor for the scheduler of jobs."""

import sys
from collections.abc import Callable, Iterator
from concurrent.futures import Executor
from contextlib import contextmanager

from robustbench_pix.catalogue.workspace import FOLDERS, SHIPPED
from robustbench_pix.devices import worker_devices
from robustbench_pix.errors import UserError
from robustbench_pix.runs.cluster.cluster_file import AddressSpec, ClusterSpec, LocalSpec, read_cluster
from robustbench_pix.runs.cluster.executor import DaskExecutor, submitting
from robustbench_pix.runs.cluster.messages import Order, Places
from robustbench_pix.runs.cluster.parcels import pack_folders
from robustbench_pix.runs.cluster.slots import Slots
from robustbench_pix.runs.cluster.starting import connected
from robustbench_pix.runs.executors import modules_that_register
from robustbench_pix.runs.job import BuildContext, Job, ModelContext
from robustbench_pix.runs.job_log import LOGS
from robustbench_pix.runs.locations import place
from robustbench_pix.runs.progress import Watcher
from robustbench_pix.runs.request import Resources
from robustbench_pix.runs.store import Store

DEATHS = 3
"""Workers that a job may take with it before it is given up."""

MOST_CATALOGUE_BYTES = 2**26


def cluster_of(resources: Resources, device: str) -> ClusterSpec:
    """Return the cluster of a run; without a file it is one on this machine.

    Raises:
        UserError: the file is wrong, or the device is neither ``cpu`` nor ``cuda``.
    """
    if resources.cluster is not None:
        return read_cluster(resources.cluster)
    if device not in ("cpu", "cuda"):
        raise UserError(
            f"--executor dask works on cpu or cuda, not on {device}; CUDA_VISIBLE_DEVICES says which GPUs it may take."
        )
    devices = worker_devices(device, resources.workers)
    return LocalSpec(workers=len(devices), gpus=len(set(devices)) if device == "cuda" else 0)


@contextmanager
def cluster(
    spec: ClusterSpec, jobs: list[Job], store: Store, watcher: Watcher, *, local_code: bool
) -> Iterator[tuple[Executor, Callable[[], int]]]:
    """Give an executor for jobs on a cluster, and how many submissions it takes at once.

    Raises:
        UserError: the cluster cannot be started or reached, or code in the running script would have to run on it.
    """
    if local_code:
        raise UserError(
            "Code that the running script defines is on no worker of a cluster; move it into a module or a file, or "
            "leave out the cluster."
        )
    workspace, context = place(store.root).parent, jobs[0].context
    assert isinstance(context, BuildContext | ModelContext)
    order = Order(
        jobs=[],
        device=spec.device,
        import_path=[entry for entry in sys.path if entry],
        modules=modules_that_register(),
        data_root=spec.data_root,
        places=Places(workspace, SHIPPED, context.data.root),
    )
    folders = tuple(sorted({name.partition("/")[0] for name in FOLDERS.values()}))
    catalogue = None if spec.shared_disk else pack_folders(workspace, folders, MOST_CATALOGUE_BYTES)
    resources = spec.resources if isinstance(spec, AddressSpec) else {}
    with connected(spec, workspace / LOGS) as (client, started):
        watcher.say(f"Jobs go to the cluster at {client.scheduler.address}; Dask's dashboard: {client.dashboard_link}")
        executor = DaskExecutor(client, order, store, catalogue=catalogue, resources=resources)
        with submitting(executor):
            yield executor, Slots(client, started, spec, watcher)

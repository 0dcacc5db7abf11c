"""Jobs on a worker that shares no disk with the client: in a workspace of its own, from parcels and into parcels."""

from pathlib import Path
from typing import Any

from robustbench_pix.catalogue.workspace import SHIPPED
from robustbench_pix.data.base import default_root
from robustbench_pix.runs import worker
from robustbench_pix.runs.cluster.data_check import require_same_data
from robustbench_pix.runs.cluster.messages import Answer, Order
from robustbench_pix.runs.cluster.moving import moved
from robustbench_pix.runs.cluster.parcels import pack_run, unpack_folders, unpack_run
from robustbench_pix.runs.store import Store

CATALOGUE = "catalogue"
"""The name of the parcel that holds the client's own catalogue files."""


def do_apart(order: Order, catalogue: str) -> Answer:
    """Do jobs and answer with the folders they made, or with what is lacking to do them.

    Models stay for later jobs; Dask removes the workspace with the worker.

    Raises:
        UserError: data is not there or differs, a parcel is damaged, or nothing can be written.
    """
    workspace = _folder() / catalogue
    store = Store(workspace / "runs")
    if CATALOGUE in order.parcels and not store.root.is_dir():
        unpack_folders(workspace, order.parcels[CATALOGUE])
        store.root.mkdir(parents=True, exist_ok=True)
    runs = {name: parcel for name, parcel in order.parcels.items() if name != CATALOGUE}
    for name, parcel in runs.items():
        unpack_run(store, name, parcel)
    if lacking := _lacking(order, workspace, store):
        return Answer(lacking=lacking, worker=_this_worker().address)
    folders = {
        order.places.workspace: workspace,
        order.places.shipped: SHIPPED,
        order.places.data_root: order.data_root or default_root(),
    }
    jobs = [moved(job, folders) for job in order.jobs]
    require_same_data(jobs, store)
    failed = worker.execute_here(jobs, str(store.root))
    made = {job.name: pack_run(store, job.name) for job in jobs if job.name not in failed}
    for job in jobs:
        if job.kind != "train" and job.name in made:
            store.remove(job.name)
    return Answer(failed, made=made)


def _lacking(order: Order, workspace: Path, store: Store) -> tuple[str, ...]:
    needs = dict.fromkeys(need for job in order.jobs for need in job.needs if store.damage(need))
    return (*([] if store.root.is_dir() else [CATALOGUE]), *needs)


def _folder() -> Path:
    """Return the folder of this worker, which Dask makes and removes."""
    return Path(_this_worker().local_directory) / "robustbench_pix"


def _this_worker() -> Any:
    from distributed import get_worker

    return get_worker()

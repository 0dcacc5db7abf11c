"""What a worker of the cluster does with an order: one at a time, on its device, with the client's versions."""

import importlib
import pickle
import socket
import sys
from pathlib import Path
from threading import Lock

from robustbench_pix.errors import UserError
from robustbench_pix.runs import worker
from robustbench_pix.runs.cluster.apart import do_apart
from robustbench_pix.runs.cluster.data_check import require_same_data
from robustbench_pix.runs.cluster.gpus import take_gpu
from robustbench_pix.runs.cluster.messages import Answer, Order
from robustbench_pix.runs.cluster.moving import moved
from robustbench_pix.runs.cluster.versions import Versions, require_same
from robustbench_pix.runs.store import Store

_one_at_a_time = Lock()
"""A worker may have several threads; what jobs set in a process, such as its random streams, holds for one alone."""


class _This:
    """This process as a worker: its device, None until its first order, and the client whose versions it has."""

    device: str | None = None
    client: Versions | None = None


def carry_out_order(client: Versions, content: bytes) -> Answer:
    """Do what a pickled ``Order`` says.

    Raises:
        UserError: nothing can be done on this worker; the sentence names its host.
    """
    with _one_at_a_time:
        try:
            if client != _This.client:
                require_same(client)
                _This.client = client
            order: Order = pickle.loads(content)
            _begin(order)
            if order.catalogue is not None:
                return do_apart(order, order.catalogue)
            return _do(order)
        except UserError as error:
            raise UserError(f"The worker on {socket.gethostname()} cannot go on: {error}") from error


def _do(order: Order) -> Answer:
    """Do jobs whose results go to the store of the client, on a disk that this worker shares."""
    root = order.places.workspace / "runs"
    if not root.is_dir():
        raise UserError(
            f"{root} is not there; mount the disk under the same path, or state shared_disk = false in the file of "
            "--cluster."
        )
    jobs = order.jobs
    if order.data_root is not None:
        jobs = [moved(job, {order.places.data_root: order.data_root}) for job in jobs]
    require_same_data(jobs, Store(root))
    return Answer(worker.execute_here(jobs, str(root)))


def _begin(order: Order) -> None:
    if _This.device is not None:
        return
    from robustbench_pix.foreign import given_up

    given_up()
    sys.path += [place for place in order.import_path if place not in sys.path and Path(place).is_dir()]
    for module in order.modules:
        try:
            importlib.import_module(module)
        except ImportError as error:
            raise UserError(f"the module {module} cannot be imported there ({error}); install it there.") from error
    _This.device = worker._device = take_gpu() if order.device == "cuda" else order.device

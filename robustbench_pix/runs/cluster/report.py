"""What each worker of a cluster is: versions, device, data found, and how long a round trip takes."""

import pickle
import socket
import time
from contextlib import suppress
from pathlib import Path
from typing import Any, Literal

from robustbench_pix.runs.cluster.cluster_file import ClusterSpec, ScaledSpec, read_cluster
from robustbench_pix.runs.cluster.messages import sealed_call
from robustbench_pix.runs.cluster.starting import connected
from robustbench_pix.runs.cluster.versions import Versions, differences, versions
from robustbench_pix.runs.manifest import commit

PATIENCE_SECONDS = 300
"""For workers to come; a queue may take longer."""

Row = tuple[str, Literal["works", "absent", "fails"], str]
"""What was examined, its state, and details."""


def examine_cluster(path: Path, logs: Path, data_root: Path) -> list[Row]:
    """Start the cluster of a file, have each worker report, and end it again.

    Args:
        path: of the file.
        logs: a folder for what jobs of a queue write.
        data_root: where data sets lie, for workers that share the disk unless the file says otherwise.

    Raises:
        UserError: the file is wrong, or the cluster cannot be started or reached.
    """
    spec = read_cluster(path)
    with connected(spec, logs) as (client, _):
        wanted = _wanted(spec)
        came = _workers(client, wanted)
        where = f"{client.scheduler.address}, dashboard {client.dashboard_link}"
        enough = len(came) >= max(1, wanted)
        missing = "" if enough else f"; only {len(came)} of {max(1, wanted)} workers came in {PATIENCE_SECONDS} s"
        rows: list[Row] = [("cluster", "works" if enough else "fails", f"{where}{missing}")]
        root = spec.data_root or (data_root if spec.shared_disk else None)
        call = sealed_call(report, versions(), root, spec.device)
        reports = {address: _sent(client, call, address) for address in came}
        return rows + [_row(client, name, address, reports[address]) for address, name in came.items()]


def report(client: Versions, data_root: Path | None, device: str) -> tuple[str, str]:
    """Return what is wrong with this process as a worker for a client, or "", and what it is, in words."""
    import torch

    from robustbench_pix.data.base import FOLDERS_OF_DATASETS, default_root

    root = data_root or default_root()
    found = [name for name, folder in FOLDERS_OF_DATASETS.items() if (root / folder).is_dir()]
    gpus = [torch.cuda.get_device_name(index) for index in range(torch.cuda.device_count())]
    wrong = differences(client)
    if device == "cuda" and not gpus:
        wrong = "; ".join(filter(None, [wrong, "torch finds no GPU there"]))
    here = versions()
    words = [
        socket.gethostname(),
        ", ".join(gpus) or "cpu",
        f"robustbench_pix {here['robustbench_pix']} (commit {commit() or 'unknown'})",
        f"torch {here['torch']}",
        f"data at {root}: {', '.join(['digits', *found])}",
    ]
    return wrong, "; ".join(words)


def _wanted(spec: ClusterSpec) -> int:
    if isinstance(spec, ScaledSpec) and spec.is_adaptive:
        return max(1, spec.least or 0)
    return spec.most_workers or 0


def _workers(client: Any, wanted: int) -> dict[str, str]:
    """Return the names of the workers by their addresses, once there are as many as wanted or patience ends."""
    with suppress(TimeoutError):
        client.wait_for_workers(max(1, wanted), timeout=PATIENCE_SECONDS)
    found = client.scheduler_info()["workers"]
    return {address: str(worker["name"]) for address, worker in sorted(found.items())}


def _sent(client: Any, call: bytes, address: str) -> Any:
    return client.submit(pickle.loads, call, pure=False, workers=[address])


def _row(client: Any, name: str, address: str, reported: Any) -> Row:
    worker = f"worker {name}"
    try:
        wrong, words = reported.result(timeout=PATIENCE_SECONDS)
    except Exception as error:
        return worker, "fails", f"{address}: {type(error).__name__}: {error}; install robustbench_pix there"
    began = time.monotonic()
    _sent(client, sealed_call(abs, -1), address).result(timeout=PATIENCE_SECONDS)
    took = f"round trip {1000 * (time.monotonic() - began):.0f} ms"
    return worker, "fails" if wrong else "works", "; ".join(filter(None, [wrong, words, took]))

"""One GPU for each worker process of a host, whoever started them."""

import fcntl
import os
import tempfile
from pathlib import Path

from robustbench_pix.errors import UserError

_held: list[int] = []
"""Open files whose locks say which GPU this process has; the system closes them with the process."""


def take_gpu() -> str:
    """Return ``cuda:0`` or another GPU that no other worker process of this user has; one is shared if all are taken.

    Raises:
        UserError: torch finds no GPU.
    """
    import torch

    count = torch.cuda.device_count()
    if not count:
        raise UserError("torch finds no GPU there; leave gpus out of the file of --cluster, or ask the queue for GPUs.")
    for index in range(count):
        identity = getattr(torch.cuda.get_device_properties(index), "uuid", index)
        path = Path(tempfile.gettempdir()) / f"robustbench_pix-gpu-{os.getuid()}-{identity}"
        descriptor = os.open(path, os.O_CREAT | os.O_RDWR, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(descriptor)
            continue
        _held.append(descriptor)
        return f"cuda:{index}"
    return f"cuda:{os.getpid() % count}"

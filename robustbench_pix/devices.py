"""Devices, numbers of workers, and floating point precision."""

import os
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext

import torch

from robustbench_pix.errors import UserError


def resolve_device(name: str | None) -> str:
    """Return ``cpu``, ``cuda``, ``cuda:1`` or ``mps``; without a name CUDA where there is one, else the CPU.

    Raises:
        UserError: the device is unknown or absent.
    """
    if name is None:
        return "cuda" if torch.cuda.is_available() else "cpu"
    try:
        device = torch.device(name)
    except RuntimeError:
        raise UserError(f"There is no device {name!r}; give cpu, cuda, cuda:0 or mps.") from None
    if device.type == "cuda" and not torch.cuda.is_available():
        raise UserError(
            f"--device {name} needs CUDA, and torch {torch.__version__} finds none here; leave it out or give cpu."
        )
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise UserError(f"--device {name} does not exist; this machine has {torch.cuda.device_count()} CUDA device(s).")
    if device.type == "mps" and not torch.backends.mps.is_available():
        raise UserError("--device mps needs an Apple GPU, and torch finds none here; leave it out or give cpu.")
    if device.type not in ("cpu", "cuda", "mps"):
        raise UserError(f"--device {name} is not supported; give cpu, cuda, cuda:0 or mps.")
    return name


def worker_devices(device: str, workers: int | None) -> list[str]:
    """Return the device of each worker: by default two single-threaded processes on a CPU, else one a GPU."""
    if device == "cuda":
        count = torch.cuda.device_count()
        return [f"cuda:{index % count}" for index in range(workers or count)]
    if device == "cpu":
        return ["cpu"] * (workers or min(2, os.cpu_count() or 1))
    return [device] * (workers or 1)


def trainings_together(device: str) -> int:
    """Return the number of models that a worker trains concurrently: several on a GPU, which one leaves mostly idle."""
    return 7 if device.startswith("cuda") else 1


def current(device: str) -> AbstractContextManager[object]:
    """Return a context in which a CUDA device is the current one; on other devices it changes nothing."""
    return torch.cuda.device(device) if device.startswith("cuda") else nullcontext()


def device_name(device: str) -> str:
    """Return the kind of a device for a table: ``cpu``, or the GPU's name."""
    return torch.cuda.get_device_name(device) if device.startswith("cuda") else torch.device(device).type


@contextmanager
def arithmetic(precision: str) -> Iterator[None]:
    """Compute in ``float32`` (no TF32 anywhere), ``tf32`` or ``bfloat16``, deterministically, forward and backward."""
    tf32 = precision != "float32"
    cudnn, matmul = torch.backends.cudnn, torch.backends.cuda.matmul
    before = (cudnn.allow_tf32, matmul.allow_tf32, cudnn.deterministic, cudnn.benchmark)
    cudnn.allow_tf32, matmul.allow_tf32, cudnn.deterministic, cudnn.benchmark = tf32, tf32, True, False
    try:
        yield
    finally:
        cudnn.allow_tf32, matmul.allow_tf32, cudnn.deterministic, cudnn.benchmark = before


def autocast(device: str, precision: str) -> torch.autocast:
    """Return the context of a forward pass: autocast to bfloat16 where that is the precision, none otherwise."""
    return torch.autocast(torch.device(device).type, dtype=torch.bfloat16, enabled=precision == "bfloat16")

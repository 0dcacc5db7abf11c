"""What was measured on: processor, device, versions, commit, and the most that the device can multiply in a second."""

import os
import platform
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path

import torch

from benchmarks.timing import seconds_a_call
from robustbench_pix.devices import arithmetic, device_name

ROOT = Path(__file__).resolve().parents[1]
LIBRARIES = ("torchvision", "foolbox", "adversarial-robustness-toolbox")
MATRIX_SIDES = {"cpu": 2048, "cuda": 8192}
TINY_MATRIX_SIDE = 128


def facts(device: str) -> dict[str, object]:
    """Return what a reader needs to judge the numbers; no path and no name of a host or a person."""
    return {
        "processor": processor(),
        "cores": os.cpu_count(),
        "device": device_name(device),
        "cuda": torch.version.cuda if device.startswith("cuda") else None,
        "python": platform.python_version(),
        "torch": torch.__version__,
        **{name: version(name) for name in LIBRARIES},
        "commit": _commit(),
    }


def processor() -> str:
    """Return the processor's name."""
    information = Path("/proc/cpuinfo")
    lines = information.read_text().splitlines() if information.is_file() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


def multiplications(device: str, precision: str, *, threads: int = 1, tiny: bool = False) -> float:
    """Return the measured peak in FLOP/s: square matrices, multiplied in ``float32``, ``tf32`` or ``bfloat16``.

    The matrices have 2,048 rows on a CPU and 8,192 on CUDA; threads matter on a CPU only.
    """
    side = TINY_MATRIX_SIDE if tiny else MATRIX_SIDES[torch.device(device).type]
    kind = torch.bfloat16 if precision == "bfloat16" else torch.float32
    left, right = (torch.randn(side, side, device=device).to(kind) for _ in range(2))
    with using_threads(threads), arithmetic(precision):
        seconds = seconds_a_call(lambda: left @ right, device, least_seconds=0.01 if tiny else 0.2, of=min)
    return 2 * side**3 / seconds


@contextmanager
def using_threads(threads: int) -> Iterator[None]:
    """Compute on so many threads of the processor, and put the number back afterwards."""
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _commit() -> str | None:
    """Return the commit, with a mark where files differ from it; None outside a repository."""
    try:
        commit = _git("rev-parse", "--short=12", "HEAD")
        changed = _git("status", "--porcelain", "--", ".", ":!benchmarks/results")
    except (OSError, subprocess.CalledProcessError):
        return None
    return f"{commit} and changes" if changed else commit


def _git(*arguments: str) -> str:
    done = subprocess.run(["git", *arguments], cwd=ROOT, check=True, capture_output=True, text=True)
    return done.stdout.strip()

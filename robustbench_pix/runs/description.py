"""What spec.json says of a job: what determined it, and what did it."""

import platform
from pathlib import Path
from typing import Any

from robustbench_pix.runs.jobs import Job
from robustbench_pix.runs.origin import commit, libraries


def described(job: Job, device: str) -> dict[str, Any]:
    """Return what spec.json says of a job that is done here; its seconds are still to be entered."""
    import torch

    from robustbench_pix import __version__
    from robustbench_pix.devices import device_name

    return {
        "identity": job.identity,
        "context": job.context,
        "needs": job.needs,
        "version": __version__,
        "torch": torch.__version__,
        "libraries": libraries(),
        "commit": commit(),
        "device": device_name(device),
        "processor": _processor(),
    }


def _processor() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.is_file():
        names = [line.partition(":")[2].strip() for line in cpuinfo.read_text().splitlines() if "model name" in line]
        if names:
            return names[0]
    return platform.processor() or platform.machine()

"""A worker of Dask on this machine, in processes that do not import the script that runs here."""

import asyncio
import json
import os
import sys
from pathlib import Path

from distributed.deploy.subprocess import SubprocessWorker

from robustbench_pix.catalogue.workspace import PACKAGE
from robustbench_pix.runs.cluster.quiet import environment_of_workers

DEATH_TIMEOUT_SECONDS = 30
"""For how long a worker looks for its scheduler before it ends."""


class LocalWorker(SubprocessWorker):
    """A worker of one thread under a nanny, which begins another where one dies.

    Ctrl-C does not reach it, and this package is found as it is found here. Of ``gpus`` GPUs it sees one, by its name.
    """

    def __init__(self, scheduler: str, name: int, gpus: int) -> None:
        settings = {"name": name, "nthreads": 1, "memory_limit": 0, "death_timeout": DEATH_TIMEOUT_SECONDS}
        environment = {"CUDA_VISIBLE_DEVICES": visible_gpu(name, gpus)} if gpus else {}
        super().__init__(scheduler, name=str(name), worker_kwargs={**settings, "dashboard": False, "env": environment})

    async def _start(self) -> None:
        spec = json.dumps({"cls": self.worker_class, "opts": self.worker_kwargs})
        places = [str(Path(PACKAGE).parent), os.environ.get("PYTHONPATH", "")]
        environment = {"PYTHONPATH": os.pathsep.join(filter(None, places))}
        self.process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "dask", "spec", self.scheduler, "--spec", spec),
            env={**os.environ, **environment_of_workers(), **environment},
            start_new_session=True,
        )


def visible_gpu(name: int, gpus: int) -> str:
    """Return which GPU a worker sees, as CUDA_VISIBLE_DEVICES has it: one of those that this process sees."""
    stated = os.environ.get("CUDA_VISIBLE_DEVICES")
    visible = stated.split(",") if stated else [str(number) for number in range(gpus)]
    return visible[name % min(gpus, len(visible))]

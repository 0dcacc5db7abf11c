"""Dask's settings for runs: each death of a worker is told at once, no job waits for memory, and the log is silent."""

import logging
import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from robustbench_pix.runs.job_log import LEVEL
from robustbench_pix.runs.worker_process import ENVIRONMENT

LOGGERS = ("distributed", "distributed.client", "distributed.gc", "tornado", "tornado.application", "asyncio")

CONNECT_SECONDS = 10

ON_WORKERS: dict[str, Any] = {
    "distributed.worker.profile.enabled": False,  # A hundred samples a second cost more than they tell.
    "distributed.worker.memory.target": False,  # Results are small; what a job takes can neither be spilled
    "distributed.worker.memory.spill": False,  # nor be waited for. A worker over its limit is still ended.
    "distributed.worker.memory.pause": False,
    "distributed.logging.distributed": "critical",
}
"""Settings of workers, as Dask names them."""

HERE: dict[str, Any] = {
    **ON_WORKERS,
    "distributed.scheduler.allowed-failures": 0,  # The deaths that a job may cost are counted in the scheduler of ours.
    "distributed.nanny.pre-spawn-environ": ENVIRONMENT,
    "distributed.comm.timeouts.connect": f"{CONNECT_SECONDS}s",
    "distributed.admin.large-graph-warning-threshold": "1TB",  # Run folders travel with their jobs.
}
"""Settings of this process, which workers that ssh starts inherit."""


def environment_of_workers() -> dict[str, str]:
    """Return the environment that a worker process starts with: threads, allocator, log level, settings of Dask."""
    level = {LEVEL: os.environ[LEVEL]} if LEVEL in os.environ else {}
    settings = {f"DASK_{name.upper().replace('.', '__')}": str(value) for name, value in ON_WORKERS.items()}
    return ENVIRONMENT | level | settings


@contextmanager
def dask_settings() -> Iterator[None]:
    """Let Dask work by these settings, and write nothing to the terminal, for as long as this lasts."""
    import dask
    import distributed  # noqa: F401 - it sets the levels of its loggers when it is imported.

    levels = {name: logging.getLogger(name).level for name in LOGGERS}
    with dask.config.set(HERE), warnings.catch_warnings():
        warnings.filterwarnings("ignore", module=r"distributed\b.*")
        warnings.filterwarnings("ignore", module=r"dask_jobqueue\b.*")
        for name in LOGGERS:
            logging.getLogger(name).setLevel(logging.CRITICAL + 1)
        try:
            yield
        finally:
            for name, level in levels.items():
                logging.getLogger(name).setLevel(level)

"""Whole commands, run from their start to their end."""

import os
import subprocess
import sys
import time
from pathlib import Path
from typing import NamedTuple

import click

from benchmarks.machine import ROOT

RBP = ("-m", "robustbench_pix")


class Spent(NamedTuple):
    """Seconds by the clock, and processor seconds of a process and its children."""

    seconds: float
    processor_seconds: float


def environment_of(folder: Path) -> dict[str, str]:
    """Return an environment in which this tree is what runs, with a bytecode cache of its own."""
    kept = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    paths = [str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]
    return kept | {"PYTHONPATH": os.pathsep.join(paths), "PYTHONPYCACHEPREFIX": str(folder / ".bytecode")}


def run(arguments: tuple[str, ...], environment: dict[str, str], folder: Path) -> Spent:
    """Run Python with arguments in a folder until it ends.

    Raises:
        click.ClickException: it failed.
    """
    begun = time.perf_counter()
    process = subprocess.Popen(
        [sys.executable, *arguments], cwd=folder, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    assert process.stdout is not None
    said = process.stdout.read()
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        raise click.ClickException(f"{' '.join(arguments)} failed:\n{said.decode(errors='replace')[-2000:]}")
    return Spent(time.perf_counter() - begun, usage.ru_utime + usage.ru_stime)

"""Files of clusters, and commands that use them."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from click.testing import CliRunner

from robustbench_pix.cli import main

ARGUMENTS = ["run", "--suite", "tiny", "--on", "tiny", "--seeds", "1"]
RECIPES = "unregularized,thresholded"

SLURM = """\
kind = "slurm"
workers = {workers}
slots = 2

[options]
memory = "6GB"
walltime = "00:30:00"
job_name = "{name}"
"""


def run(workspace: Path, *more: str, recipes: str = RECIPES) -> Any:
    """Run a tiny configuration and return what click's runner says of it."""
    return CliRunner().invoke(main, [*ARGUMENTS, "--recipe", recipes, "--workspace", str(workspace), *more])


def begin(workspace: Path, *more: str, recipes: str = RECIPES) -> subprocess.Popen:
    """Begin a tiny configuration in a process of its own."""
    return subprocess.Popen(
        [sys.executable, "-m", "robustbench_pix", *ARGUMENTS, "--recipe", recipes, "--workspace", workspace, *more],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[3])},
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # A shell's background jobs ignore it.
    )


def cluster_file(folder: Path, text: str) -> str:
    """Write the file of a cluster and return its path."""
    path = folder / "cluster.toml"
    path.write_text(text)
    return str(path)


def wait_for(folder: Path, pattern: str, seconds: float = 90) -> None:
    """Wait until a folder holds a file of this pattern."""
    deadline = time.monotonic() + seconds
    while not list(folder.glob(pattern)):
        assert time.monotonic() < deadline, f"{folder / pattern} did not come"
        time.sleep(0.1)

"""How long one waits before anything happens, and how much of the default run is neither training nor attacking.

python benchmarks/startup.py [--default-run] [--tiny]
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

import click

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.machine import ROOT
from benchmarks.report import RESULTS, Report, Table

RBP = ("-m", "robustbench_pix")
COMMANDS = {
    'python -c "pass"': ("-c", "pass"),
    'python -c "import torch"': ("-c", "import torch"),
    'python -c "import robustbench_pix"': ("-c", "import robustbench_pix"),
    "rbp --help": (*RBP, "--help"),
    "rbp models": (*RBP, "models"),
    "rbp run --dry-run": (*RBP, "run", "--dry-run"),
    "rbp leaderboard": (*RBP, "leaderboard"),
}
START_NOTE = (
    "The least of several runs, the first left out; processor seconds of the process and its children. Importing "
    "torch is the plain way's least: each of its scripts does it before it reads its arguments."
)
RUN_NOTE = (
    "`rbp run` in a fresh workspace, two workers of one thread. Trainings, attacks: seconds of all of them together, "
    "as their folders state them. Outside: the share of the workers' time in which they did neither; starting, "
    "planning, tables and waiting for the last job are in it."
)


class Spent(NamedTuple):
    """Seconds by the clock, and processor seconds of a process and its children."""

    seconds: float
    processor_seconds: float


@click.command()
@click.option("--output", type=click.Path(path_type=Path), default=RESULTS, help="The folder of the results.")
@click.option("--default-run", is_flag=True, help="Also do the default run in a temporary workspace: two minutes.")
@click.option("--tiny", is_flag=True, help="One run of two commands, and the smallest run, to see that it works.")
def main(output: Path, default_run: bool, tiny: bool) -> None:
    """Measure commands from their start to their end."""
    report = Report("startup", "cpu", output, "Python's own bytecode cache is warm.")
    repetitions = 1 if tiny else 7
    with tempfile.TemporaryDirectory() as folder:
        workspace = Path(folder)
        environment = _environment(workspace)
        commands = dict(list(COMMANDS.items())[::3]) if tiny else COMMANDS
        spent = {}
        for name, arguments in commands.items():
            runs = [_run(arguments, environment, workspace) for _ in range(1 + repetitions)][1:]
            spent[name] = Spent(*(min(column) for column in zip(*runs, strict=True)))
        report.add(
            Table(
                "Starting",
                START_NOTE,
                [
                    {"command": name, "processor s": each.processor_seconds, "clock s": each.seconds}
                    for name, each in spent.items()
                ],
            )
        )
        if default_run:
            chosen = ("--suite", "smoke", "--seeds", "1", "--recipe", "unregularized") if tiny else ()
            report.add(_whole_run(chosen, environment, workspace))


def _whole_run(chosen: tuple[str, ...], environment: dict[str, str], workspace: Path) -> Table:
    workers = 2
    whole = _run((*RBP, "run", "--device", "cpu", "--workers", str(workers), *chosen), environment, workspace)
    jobs = [json.loads(path.read_text(encoding="utf-8")) for path in workspace.glob("runs/*/spec.json")]
    seconds = {"train": 0.0, "attack": 0.0}
    for job in jobs:
        seconds[job["identity"]["kind"]] += job["seconds"]
    return Table(
        "A whole run",
        RUN_NOTE,
        [
            {
                "command": " ".join(("rbp run", *chosen)),
                "clock s": whole.seconds,
                "processor s": whole.processor_seconds,
                "trainings, s": seconds["train"],
                "attacks, s": seconds["attack"],
                "workers": workers,
                "outside, %": 100 * (1 - sum(seconds.values()) / (workers * whole.seconds)),
            }
        ],
    )


def _environment(folder: Path) -> dict[str, str]:
    """Return an environment in which this tree is what runs, with a bytecode cache of its own."""
    kept = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    paths = [str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]
    return kept | {"PYTHONPATH": os.pathsep.join(paths), "PYTHONPYCACHEPREFIX": str(folder / ".bytecode")}


def _run(arguments: tuple[str, ...], environment: dict[str, str], folder: Path) -> Spent:
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


if __name__ == "__main__":
    main()

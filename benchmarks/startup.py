"""How long one waits before anything happens, and how much of the default run is neither training nor attacking.

python benchmarks/startup.py [--default-run] [--tiny]
"""

import json
import sys
import tempfile
from pathlib import Path

import click

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.commands import RBP, Spent, environment_of, run
from benchmarks.report import RESULTS, Report, Table

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
    "`rbp run` in a fresh workspace, two workers of one thread. Trainings, attacks and checks: seconds of all of them "
    "together, as their folders state them. Outside: the share of the workers' time in which they did neither: "
    "starting, planning, tables and waiting for the last job."
)


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
        environment = environment_of(workspace)
        commands = dict(list(COMMANDS.items())[::3]) if tiny else COMMANDS
        spent = {}
        for name, arguments in commands.items():
            runs = [run(arguments, environment, workspace) for _ in range(1 + repetitions)][1:]
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
    whole = run((*RBP, "run", "--device", "cpu", "--workers", str(workers), *chosen), environment, workspace)
    jobs = [json.loads(path.read_text(encoding="utf-8")) for path in workspace.glob("runs/*/spec.json")]
    trainings, others = (
        sum(job["seconds"] for job in jobs if (job["identity"]["kind"] == "train") is training)
        for training in (True, False)
    )
    return Table(
        "A whole run",
        RUN_NOTE,
        [
            {
                "command": " ".join(("rbp run", *chosen)),
                "clock s": whole.seconds,
                "processor s": whole.processor_seconds,
                "trainings, s": trainings,
                "attacks and checks, s": others,
                "workers": workers,
                "outside, %": 100 * (1 - (trainings + others) / (workers * whole.seconds)),
            }
        ],
    )


if __name__ == "__main__":
    main()

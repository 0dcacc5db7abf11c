"""How long each suite takes on digits, the models trained: two recipes, one seed, two workers of one thread.

python benchmarks/suites.py [--suite NAME ...] [--tiny]
"""

import json
import re
import sys
import tempfile
from pathlib import Path

import click

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks import options
from benchmarks.commands import RBP, environment_of, run
from benchmarks.machine import ROOT
from benchmarks.report import Report, Table

RECIPES = ("--recipe", "unregularized", "--recipe", "thresholded", "--seeds", "1")
NOTE = (
    "`rbp run --suite NAME` in a workspace of its own, from nothing: two models and the sources that the suite needs "
    "are trained. Jobs: seconds of all trainings, attacks and checks together; longest: the attack that took the most, "
    "on one model."
)


@click.command()
@click.option("--suite", "suites", multiple=True, help="Only this suite. Repeatable.")
@options.output
@options.tiny
def main(suites: tuple[str, ...], output: Path, tiny: bool) -> None:
    """Run every suite once."""
    known = sorted(path.stem for path in (ROOT / "attacks/suites").glob("*.toml"))
    chosen = suites or (("smoke",) if tiny else known)
    recipes = RECIPES[:2] + RECIPES[4:] if tiny else RECIPES
    rows = []
    for suite in chosen:
        with tempfile.TemporaryDirectory() as folder:
            if tiny:
                _shortened(Path(folder))
            rows.append(_suite(suite, recipes, Path(folder)))
    Report("suites", "cpu", output, "").add(Table("Suites on digits", NOTE, rows))


def _shortened(workspace: Path) -> None:
    """Let models be trained for one epoch."""
    task = (ROOT / "models/tasks/digits.toml").read_text(encoding="utf-8")
    (workspace / "models/tasks").mkdir(parents=True)
    (workspace / "models/tasks/digits.toml").write_text(re.sub(r"epochs = \d+", "epochs = 1", task), encoding="utf-8")


def _suite(suite: str, recipes: tuple[str, ...], workspace: Path) -> dict[str, object]:
    command = (*RBP, "run", "--device", "cpu", "--workers", "2", "--suite", suite, *recipes)
    spent = run(command, environment_of(workspace), workspace)
    jobs = [json.loads(path.read_text(encoding="utf-8")) for path in workspace.glob("runs/*/spec.json")]
    attacks = [job for job in jobs if job["identity"]["kind"] == "attack"]
    longest = max(attacks, key=lambda job: job["seconds"])
    return {
        "suite": suite,
        "clock s": spent.seconds,
        "jobs, s": sum(job["seconds"] for job in jobs),
        "attacks": len({job["context"]["attack"] for job in attacks}),
        "longest": longest["context"]["attack"],
        "of it, s": longest["seconds"],
    }


if __name__ == "__main__":
    main()

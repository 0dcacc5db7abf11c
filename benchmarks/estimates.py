"""How near the estimates of ``rbp run --dry-run`` come: each job estimated in an empty workspace, then done.

python benchmarks/estimates.py [--data-root FOLDER] [--tiny]
"""

import re
import sys
import tempfile
import time
from pathlib import Path

import click

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks import options
from benchmarks.machine import ROOT
from benchmarks.report import Report, Row, Table
from robustbench_pix.catalogue.workspace import Workspace
from robustbench_pix.runs.cost_estimate import seconds_of_jobs
from robustbench_pix.runs.planner import make_plan
from robustbench_pix.runs.request import RunConfig, parse_combination
from robustbench_pix.runs.store import Store
from robustbench_pix.runs.worker import execute

EPOCHS = 6
RECIPES = ("unregularized", "thresholded", "adversarial", "jacobian", "local-linearity")
DIGITS = (("smoke", RECIPES, "digits", "full", EPOCHS), ("blackbox", RECIPES[:1], "digits", "full", EPOCHS))
MNIST = (("smoke", RECIPES[:2], "mnist", "reduced", 1),)
TINY = (("smoke", RECIPES[:1], "digits", "full", 1),)
"""Suite, recipes, task, size and number of epochs, to which trainings are cut."""

NOTE = (
    "Seconds of the processor, one thread, one job after the other, so that other work on the machine does not count. "
    "Ratio: estimated over spent. Trainings are cut to {epochs} epochs."
)


@click.command()
@click.option("--data-root", type=click.Path(path_type=Path), help="Folder of the data sets: MNIST is measured, too.")
@options.output
@options.tiny
def main(data_root: Path | None, output: Path, tiny: bool) -> None:
    """Estimate and do every job of a few runs."""
    report = Report("estimates", "cpu", output, "")
    for suite, recipes, task, size, epochs in TINY if tiny else (*DIGITS, *(MNIST if data_root else ())):
        with tempfile.TemporaryDirectory() as folder:
            rows = _rows(Path(folder), suite, recipes, task, size, epochs, data_root or Path(folder))
        report.add(Table(f"{suite} on {task}, {size}", NOTE.format(epochs=epochs), rows))


def _rows(
    folder: Path, suite: str, recipes: tuple[str, ...], task: str, size: str, epochs: int, data_root: Path
) -> list[Row]:
    entry = (ROOT / f"models/tasks/{task}.toml").read_text(encoding="utf-8")
    (folder / "models/tasks").mkdir(parents=True)
    cut = re.sub(r"^epochs = \d+", f"epochs = {epochs}", entry, flags=re.MULTILINE)
    (folder / f"models/tasks/{task}.toml").write_text(cut, encoding="utf-8")
    config = RunConfig(
        workspace=Workspace(folder), suite=suite, recipes=recipes, combinations=(parse_combination(task),), seeds=(0,),
        size=size, colour=None, precision="float32", data_root=data_root,
    )  # fmt: skip
    plan, store = make_plan(config, "cpu"), Store(folder / "runs")
    estimated, rows = seconds_of_jobs(plan, store, "cpu"), list[Row]()
    store.root.mkdir(parents=True)
    for job in sorted(plan.jobs.values(), key=lambda job: len(job.needs)):  # models before what is done to them
        begun = time.process_time()
        failed = execute([job], store, "cpu")
        assert not failed, failed
        spent, supposed = time.process_time() - begun, estimated[job.name] or 0.0
        rows.append({"job": job.title, "estimated s": supposed, "spent s": spent, "ratio": supposed / spent})
    spent, supposed = (sum(float(str(row[name])) for row in rows) for name in ("spent s", "estimated s"))
    return [*rows, {"job": "all", "estimated s": supposed, "spent s": spent, "ratio": supposed / spent}]


if __name__ == "__main__":
    main()

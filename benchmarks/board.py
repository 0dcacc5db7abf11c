"""How long the terminal takes to open a large published board, and what publishing it takes.

python benchmarks/board.py [--tiny]

Measured is a board of 20 recipes, 10 combinations, 7 seeds, 12 attacks and 10 strengths: 168,000 measurements. Its
curves are made up; names, columns and the length of a line are those of real ones.
"""

import sys
import tempfile
import time
from itertools import product
from pathlib import Path

import click
import numpy as np
import pandas as pd

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks import options
from benchmarks.commands import RBP, Spent, environment_of, run
from benchmarks.report import Report, Table
from robustbench_pix.leaderboard.publishing import publish
from robustbench_pix.results.board import Board
from robustbench_pix.results.columns import MEASUREMENTS, REQUESTED, typed
from robustbench_pix.results.published.csv_io import as_published
from robustbench_pix.results.published.reading import read_published

TASKS = ("digits", "mnist", "fashion-mnist", "cifar10", "cifar100")
ATTACKS = (
    *("gaussian", "uniform", "laplace", "salt-and-pepper", "transfer-fgsm", "transfer-pgd"),
    *("boundary", "hop-skip-jump", "geoda", "square", "simba", "pgd"),
)
CONTROLS = ("decorrelated", "shuffled", "statistics")
HASHES = ("model_id", "attack_id", "recipe_hash", "task_hash", "attack_hash", "suite_hash")
STRENGTHS = 10
OPENED = {
    "rbp leaderboard": (),
    "rbp leaderboard --on cifar100:natural": ("--on", "cifar100:natural"),
    "rbp leaderboard --format csv": ("--format", "csv"),
}
NOTE = "From the published files, in 100 columns; the least of several runs, processor seconds of the whole process."
STEP_NOTE = "In one process, once each, processor seconds."


@click.command()
@options.output
@options.tiny
def main(output: Path, tiny: bool) -> None:
    """Publish a board and open it."""
    report = Report("board", "cpu", output, "Python's own bytecode cache is warm.")
    measurements, rows = made_up(*((4, 2, 2) if tiny else (20, 10, 7)))
    with tempfile.TemporaryDirectory() as folder:
        workspace = Path(folder)
        steps = _steps(measurements, rows, workspace / "leaderboard")
        environment = environment_of(workspace) | {"COLUMNS": "100"}
        lines = []
        for name, arguments in OPENED.items():
            command = (*RBP, "leaderboard", "--published", *arguments)
            runs = [run(command, environment, workspace) for _ in range(2 if tiny else 6)][1:]
            spent = Spent(*(min(column) for column in zip(*runs, strict=True)))
            lines.append({"command": name, "processor s": spent.processor_seconds, "clock s": spent.seconds})
        mib = (workspace / "leaderboard/measurements.csv").stat().st_size / 2**20
    title = f"Opening {len(measurements):,} measurements, {mib:.0f} MiB"
    report.add(Table(title, NOTE, lines))
    report.add(Table("Steps", STEP_NOTE, steps))


def _steps(measurements: pd.DataFrame, rows: pd.DataFrame, folder: Path) -> list[dict[str, str | float]]:
    begun = time.process_time()
    board = Board(as_published(measurements, MEASUREMENTS), typed(rows, REQUESTED))
    len(board.leaderboard)
    built = time.process_time()
    publish(folder, board)
    published = time.process_time()
    read_published(folder)
    read = time.process_time()
    seconds = {
        "derive the leaderboard": built - begun,
        "publish": published - built,
        "read_published": read - published,
    }
    return [{"step": name, "processor s": value} for name, value in seconds.items()]


def made_up(recipes: int, combinations: int, seeds: int) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return measurements of so many recipes, combinations and seeds, and the rows that a leaderboard is asked for."""
    random = np.random.default_rng(0)
    chosen = ["unregularized", "thresholded", *CONTROLS, *(f"recipe-{place}" for place in range(recipes))][:recipes]
    blocks = [(task, images) for task in reversed(TASKS) for images in ("natural", None)][:combinations]
    shared = {"suite": "blackbox", "suite_version": 2, "protocol": "strict", "size": "full", "colour": "gray"}
    shared |= {"network": "resnet18", "precision": "float32"}
    help_ = dict(zip(chosen, random.uniform(0, 0.15, recipes), strict=True))
    keys = list(product(blocks, chosen, range(seeds), ATTACKS))
    middles = np.array([0.2 + help_[recipe] for _, recipe, _, _ in keys]) + random.normal(0, 0.01, len(keys))
    strengths = np.linspace(0, 0.5, STRENGTHS)
    correct = np.rint(10_000 * 0.95 / (1 + np.exp((strengths - middles[:, None]) / 0.05))).astype(int)
    accuracy = correct / 10_000
    areas = np.cumsum((accuracy[:, 1:] + accuracy[:, :-1]) / 2 * np.diff(strengths), axis=1)
    measured = {
        "task": [task for (task, _), _, _, _ in keys],
        "regularization_data": [images or task for (task, images), _, _, _ in keys],
        "recipe": [recipe for _, recipe, _, _ in keys],
        "seed": [seed for _, _, seed, _ in keys],
        "attack": [attack for _, _, _, attack in keys],
        "flags": ["depends on batch" if attack == "geoda" else "" for _, _, _, attack in keys],
    }
    for name in HASHES:
        measured[name] = [f"{value:016x}" for value in random.integers(0, 2**63, len(keys))]
    frame = pd.DataFrame(measured).loc[np.repeat(np.arange(len(keys)), STRENGTHS)].reset_index(drop=True)
    distances = random.uniform(0, 2, (3, len(frame)))
    frame = frame.assign(
        **shared,
        strength=np.tile(strengths, len(keys)),
        range_from=0.0,
        correct=correct.ravel(),
        accuracy=accuracy.ravel(),
        area=np.pad(areas, ((0, 0), (1, 0))).ravel(),
        success_rate=1 - accuracy.ravel() / 0.95,
        **dict(zip(("median_l2", "median_linf", "median_squared_l2_per_pixel"), distances, strict=True)),
        **{"n": 10_000, "repetitions": 1, "failed": 0, "mean_queries": 1000.5, "access": "decisions"},
        **{"strength_kind": "l2", "gradients": "sound", "version": "0.1.0", "torch": "2.15.0", "device": "cuda"},
    )
    asked = [
        {
            **shared,
            "task": task,
            "regularization_data": images or task,
            "recipe": recipe,
            "controls": "thresholded" if recipe in CONTROLS else "",
            "attacks": ",".join(ATTACKS),
            "seed_list": ",".join(map(str, range(seeds))),
        }
        for (task, images), recipe in product(blocks, chosen)
    ]
    return typed(frame, MEASUREMENTS), typed(pd.DataFrame(asked), REQUESTED)


if __name__ == "__main__":
    main()

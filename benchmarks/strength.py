"""How strong attacks are: ours against foolbox, torchattacks, pyautoattack and the Adversarial Robustness Toolbox.

python benchmarks/strength.py --data-root FOLDER_WITH_MNIST [--tiny]

torchattacks is needed here and nowhere else: pip install --no-deps torchattacks. It takes about 40 minutes
of one core.
"""

import sys
from importlib.metadata import version
from pathlib import Path

import click
import torch
from torch import Tensor

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks import options
from benchmarks.machine import using_threads
from benchmarks.report import Report, Row, Table
from benchmarks.strength_rivals import ensemble, from_decisions, in_a_ball
from benchmarks.strength_victims import SUBJECTS, Subject, subject
from benchmarks.strength_ways import smallest_known
from robustbench_pix.data.base import default_root

BUDGET, LARGE_BUDGET = 5_000, 10_000
TINY_BUDGET = 200
BALL_NOTE = (
    "Robust accuracy: the share of the images that the attack leaves right within the radius; smaller is stronger. "
    "Score attacks have 1,000 queries an image, PGD 40 steps from one random start. Queries: the mean of an image; "
    "who is fooled asks no more with ours, pyautoattack and torchattacks. ART is the Adversarial Robustness Toolbox; "
    "its Square in l2 divides 0 by 0 on small images, asks about NaN and ends."
)
DECISION_NOTE = (
    "Ratio: the distance found over the smallest known, the minimum of DDN, FMN, Carlini and Wagner, DDN aimed at each "
    "class, and every attack of this table; mean, median and largest over the images. Every attack is answered the "
    "same number of queries an image, starting points included, and the nearest point asked about counts."
)


@click.command()
@click.option("--data-root", type=click.Path(path_type=Path), default=None, help="The folder of MNIST.")
@options.output
@options.tiny
def main(data_root: Path | None, output: Path, tiny: bool) -> None:
    """Attack four networks with every attack that has a counterpart elsewhere, at equal budgets."""
    libraries = ", ".join(f"{name} {version(name)}" for name in ("torchattacks", "pyautoattack"))
    note = f"One thread, float32; 64 images on digits and 32 on MNIST; {libraries}"
    report = Report("strength", "cpu", output, note)
    with using_threads(1):
        for name in [*SUBJECTS][:2] if tiny else SUBJECTS:
            attacked = subject(name, data_root or default_root(), tiny=tiny)
            report.add(Table(f"Distances from decisions: {name}", DECISION_NOTE, _distances(attacked, tiny)))
            for norm, radius in attacked.radii.items():
                rows: list[Row] = []
                for side in in_a_ball(norm, tiny=tiny):
                    found = side.run(attacked)
                    robust = float(found.robust.float().mean())
                    row = {"attack": side.attack, "way": side.way, "robust accuracy": robust, "queries": found.queries}
                    rows.append(row)
                report.add(Table(f"Robust accuracy in {norm} at {radius:g}: {name}", BALL_NOTE, rows))


def _distances(attacked: Subject, tiny: bool) -> list[Row]:
    smallest = smallest_known(attacked, steps=10 if tiny else 300)
    least = TINY_BUDGET if tiny else BUDGET
    runs = [(least, side) for side in from_decisions(least)]
    if not tiny:
        runs.append((LARGE_BUDGET, ensemble(LARGE_BUDGET)))
    found = [(side, budget, side.run(attacked)) for budget, side in runs]
    white_box = smallest.mean().item()
    for _, _, outcome in found:
        smallest = torch.minimum(smallest, outcome.distances)
    rows: list[Row] = [
        {
            "attack": side.attack,
            "way": side.way,
            "budget": budget,
            "queries": outcome.queries,
            "mean distance": outcome.distances.mean().item(),
            **_ratios(outcome.distances / smallest),
        }
        for side, budget, outcome in found
    ]
    white: Row = dict.fromkeys(rows[0]) | {"attack": "white-box attacks", "way": "foolbox", "mean distance": white_box}
    return [*rows, white]


def _ratios(ratios: Tensor) -> dict[str, float]:
    return {
        "mean ratio": ratios.mean().item(),
        "median ratio": ratios.median().item(),
        "largest ratio": ratios.max().item(),
    }


if __name__ == "__main__":
    main()

"""How fast attacks are: ours against foolbox, the Adversarial Robustness Toolbox and the published loops, in one run.

python benchmarks/attacks.py [--device cuda] [--tiny]
"""

import sys
from pathlib import Path
from typing import NamedTuple

import click
import torch
from torch.utils.flop_counter import FlopCounterMode

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks import options
from benchmarks.duels import duels, fight
from benchmarks.machine import multiplications, using_threads
from benchmarks.report import Report, Row, Table
from benchmarks.sweeps import DIFFERENT_STRENGTHS, Sweeps, published, pure_inference
from benchmarks.timing import taking_turns
from benchmarks.victims import Victim, inferences_a_second, victim
from benchmarks.workload import TINY, Work
from robustbench_pix.devices import resolve_device

DUEL_NOTE = (
    "Ours goes through the whole harness: starting points, query log, judgement and table. The libraries are called "
    "directly, on the same network as it was trained, and are given our starting points; ART is the Adversarial "
    "Robustness Toolbox. Many steps: its boundary attack with as many steps as ours, about 40 queries each. On a CPU "
    "seconds are processor seconds of one thread, the least of the rounds. Fooled: share of the images; distance: "
    "their median L2, to be compared at equal queries only. Inference: queries/s as a share of the images/s of pure "
    "inference in float32; peak: of a large float32 matrix product. Ratios: time of a query, and of the whole attack "
    "of an image, to ours."
)
SWEEP_NOTE = (
    "Gaussian, uniform, salt and pepper, transferred gradient signs: ten strengths each and the clean images. Pure "
    "inference: as many forward passes and nothing else. The first model draws the noise and takes the gradients, "
    "which are kept for those that follow. Published: noise drawn for each strength and clamped image by image, "
    "gradients image by image and strength by strength. Ratio: time of an image at a strength, to pure inference as "
    "the harness asks: BatchNorm folded, on a CPU in the layout of its convolution library."
)
GROWTH_NOTE = "The boundary attack: microseconds a query by the number of images attacked at once."
PURE = "pure inference, as the harness asks"


class Setup(NamedTuple):
    """Networks, steps of the attacks, numbers of images and how often ways take turns."""

    works: tuple[Work, ...]
    steps: int
    iterations: int
    images: int
    few: int
    swept: int
    growth: tuple[int, ...]
    rounds: int
    least_seconds: float


SMALL = Work(network="small", width=16, side=8, steps=20)
CPU = Setup(
    (SMALL, Work(side=28, steps=20)),
    steps=400,
    iterations=2,
    images=32,
    few=3,
    swept=500,
    growth=(16, 64, 128),
    rounds=2,
    least_seconds=0.3,
)
CUDA = Setup(
    (SMALL, Work(width=64, steps=40)),
    steps=500,
    iterations=4,
    images=1000,
    few=3,
    swept=10_000,
    growth=(16, 64, 256, 1000),
    rounds=3,
    least_seconds=0.3,
)
SMALLEST = Setup((TINY,), steps=10, iterations=1, images=4, few=1, swept=8, growth=(4,), rounds=1, least_seconds=0.01)


@click.command()
@options.of_a_device
def main(device: str | None, output: Path, tiny: bool) -> None:
    """Attack the same networks in every way, and write what a query costs and how it grows."""
    device = resolve_device(device)
    setup = SMALLEST if tiny else CUDA if device.startswith("cuda") else CPU
    report = Report("attacks", device, output, f"One thread, float32; {setup}")
    with using_threads(1):
        peak = multiplications(device, "float32", tiny=tiny)
        for work in setup.works:
            attacked = victim(work, max(setup.swept, setup.images, *setup.growth), device)
            title = f"{work.network}, width {work.width}, {work.side}x{work.side} pixels"
            report.add(Table(f"Attacks that ask: {title}", DUEL_NOTE, _duels(attacked, setup, peak)))
            source = victim(work, 1, device, seed=1)
            report.add(Table(f"Sweeps: {title}", SWEEP_NOTE, _sweeps(attacked, source, setup)))
            report.add(Table(f"Growth with the images: {title}", GROWTH_NOTE, _growth(attacked, setup)))


def _duels(attacked: Victim, setup: Setup, peak: float) -> list[Row]:
    inferences = inferences_a_second(attacked, least_seconds=setup.least_seconds)
    flops = _flops_of_image(attacked)
    rows: list[Row] = []
    for sides in duels(setup.steps, setup.iterations):
        outcomes = fight(sides, attacked, images=setup.images, few=setup.few, rounds=setup.rounds)
        ours, ours_an_image = (outcomes[0].seconds / count for count in (outcomes[0].queries, setup.images))
        for side, outcome in zip(sides, outcomes, strict=True):
            images, each = setup.few if side.one_by_one else setup.images, outcome.seconds / outcome.queries
            rows.append(
                {
                    "attack": side.attack,
                    "way": side.way,
                    "images": images,
                    "queries/image": outcome.queries / images,
                    "us a query": 1e6 * each,
                    "queries/s": 1 / each,
                    "% of inference": 100 / each / inferences,
                    "% of peak": 100 * flops / each / peak,
                    "fooled": outcome.fooled,
                    "distance": outcome.distance,
                    "ratio, a query": each / ours,
                    "ratio, an image": outcome.seconds / images / ours_an_image,
                }
            )
    return rows


def _sweeps(attacked: Victim, source: Victim, setup: Setup) -> list[Row]:
    swept, few = attacked.first(setup.swept), attacked.first(min(setup.swept, 10 * setup.few))
    sweeps = Sweeps(swept, source)
    ways = {
        PURE: (lambda: pure_inference(swept, swept.asked), setup.swept),
        "pure inference, the network as trained": (lambda: pure_inference(swept, swept.network), setup.swept),
        "ours, the first model": (sweeps.of_the_first_model, setup.swept),
        "ours, the models that follow": (sweeps.of_another_model, setup.swept),
        "published": (lambda: published(few, source), len(few.labels)),
    }
    device = attacked.device
    times = taking_turns({way: measure for way, (measure, _) in ways.items()}, setup.rounds)
    each = {way: times[way].spent_on(device) / images / DIFFERENT_STRENGTHS for way, (_, images) in ways.items()}
    return [
        {
            "way": way,
            "images": images,
            "strengths": DIFFERENT_STRENGTHS,
            "seconds": times[way].spent_on(device),
            "images/s": 1 / each[way],
            "ratio": each[way] / each[PURE],
        }
        for way, (_, images) in ways.items()
    ]


def _growth(attacked: Victim, setup: Setup) -> list[Row]:
    ours, foolbox, *_ = duels(setup.steps, setup.iterations)[0]
    rows: list[Row] = []
    for images in setup.growth:
        outcomes = fight([ours, foolbox], attacked, images=images, few=1, rounds=setup.rounds)
        mine, theirs = (1e6 * outcome.seconds / outcome.queries for outcome in outcomes)
        rows.append({"images": images, "ours, us": mine, "foolbox batched, us": theirs, "ratio": theirs / mine})
    return rows


def _flops_of_image(attacked: Victim) -> int:
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        attacked.network(attacked.images[:1])
    return counter.get_total_flops()


if __name__ == "__main__":
    main()

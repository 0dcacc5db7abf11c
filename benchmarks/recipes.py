"""What a step of each recipe costs: every shipped recipe beside ``unregularized``, on the same work, in one run.

python benchmarks/recipes.py [--device cuda] [--tiny]
"""

import sys
from functools import partial
from pathlib import Path

import click

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import torch

from benchmarks import options
from benchmarks.ours import data_of
from benchmarks.report import Report, Row, Table
from benchmarks.timing import Time, now, taking_turns
from benchmarks.workload import CLASSES, TINY, Work
from robustbench_pix.catalogue.registries import regularizers
from robustbench_pix.devices import resolve_device
from robustbench_pix.recipes.building import build_recipe, recipe_network
from robustbench_pix.recipes.contract import RecipeContext, needs_images
from robustbench_pix.runs.training_job import feature_shapes
from robustbench_pix.training.loop import train

BASELINE = "unregularized"
DIGITS = Work(network="small", width=16, side=8, steps=40, regularization_images=1097)
ROUNDS, TINY_ROUNDS = 5, 1
ALPHA = 0.01
"""Small, so that no recipe leaves the range of numbers in a few steps; it changes no time."""

WORK = "An epoch of 40 steps of 64 images of 8x8 pixels, its preparation and its validation, over the number of steps."
NOTE = "Processor time of one thread on a CPU. Ratio: to unregularized. Recipes take turns; medians of five rounds."


def epoch(name: str, work: Work, device: str) -> list[Time]:
    """Return the time of a step of a recipe with its default parameters."""
    data, network = data_of(work, device), work.fresh_network(0)
    recipe = None
    if name != BASELINE:
        target = regularizers.load(name)
        network = recipe_network(target, network, {}, name, channels=1, classes=CLASSES, seed=0)
        images = data.regularization_images.cpu()
        shapes = feature_shapes(network, images, "cpu")
        kept = images if needs_images(target) else images[:0]
        recipe = build_recipe(target, RecipeContext(kept, shapes, 0, None, "", CLASSES, work.steps, 1), {}, name)
        recipe = recipe.to(device)
    begun = now(device)
    train(network.to(device), recipe, data, work.spec(1), seed=0, alpha=ALPHA, device=device)
    return [(now(device) - begun).over(work.steps)]


@click.command()
@options.of_a_device
def main(device: str | None, output: Path, tiny: bool) -> None:
    """Measure a step of every shipped recipe."""
    device = resolve_device(device)
    torch.set_num_threads(1)
    work, rounds = (TINY, TINY_ROUNDS) if tiny else (DIGITS, ROUNDS)
    names = [BASELINE, *sorted(regularizers.shipped)]
    times = taking_turns({name: partial(epoch, name, work, device) for name in names}, rounds)
    baseline = times[BASELINE].spent_on(device)
    rows: list[Row] = [
        {"recipe": name, "ms": 1000 * time.spent_on(device), "ratio": time.spent_on(device) / baseline}
        for name, time in times.items()
    ]
    Report("recipes", device, output, WORK).add(Table("A step of training", NOTE, rows))


if __name__ == "__main__":
    main()

"""What to measure first on a GPU, in one command of at most ten minutes, before an estimate is believed.

python benchmarks/first_gpu.py [--device cuda] [--tiny]

Each table is written as soon as it is there.
"""

import sys
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import NamedTuple

import click
import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks import kernels, options, ours
from benchmarks.machine import multiplications
from benchmarks.report import Report, Row, Table
from benchmarks.timing import middle, seconds_a_call
from benchmarks.victims import victim
from benchmarks.workload import CIFAR_EPOCHS, CIFAR_STEPS, TINY, Work
from robustbench_pix.devices import arithmetic, autocast, resolve_device

PRECISIONS = ("float32", "tf32", "bfloat16")
STEP_NOTE = "Fused slower than 2 ms on an H200: look at BatchNorm's kernels first. Model: 40 epochs of CIFAR-10."
TOGETHER_NOTE = "A gain below 1.15 from seven together: drop training side by side. ms a step: of one model."
SAME_NOTE = "Weights and statistics of a model trained alone and of the same model trained beside six others."
GROUPED_NOTE = "Forward and both gradients. Within 10% of streams, streams are preferred, since they change no number."


class Setup(NamedTuple):
    """The work, how many models together, the batches of pure inference, how long a kernel is timed."""

    work: Work
    together: tuple[int, ...]
    inferred: tuple[int, ...]
    least_seconds: float
    compiled: bool


FULL = Setup(Work(width=64, steps=150, regularization_images=5000), (1, 2, 4, 7), (1, 64, 256, 1000, 4000), 0.02, True)
SMALLEST = Setup(TINY, (1, 2), (1, 8), 0.0005, False)


@click.command()
@options.of_a_device
def main(device: str | None, output: Path, tiny: bool) -> None:
    """Measure peaks, steps, models together, inference and kernels, in the order of what they decide."""
    device = resolve_device(device)
    setup = SMALLEST if tiny else FULL
    work, least = setup.work, setup.least_seconds
    report = Report("first_gpu", device, output, f"{setup}")
    peaks = [{"precision": name, "TFLOP/s": multiplications(device, name, tiny=tiny) / 1e12} for name in PRECISIONS]
    report.add(Table("Peaks: products of large matrices", "TF32 is float32 on a CPU.", peaks))
    report.add(Table("A regularized step", STEP_NOTE, list(_steps(setup, device))))
    report.add(Table("Models together", TOGETHER_NOTE, list(_together(setup, device))))
    report.add(Table("Alone and together, bit by bit", SAME_NOTE, [_same(setup, device)]))
    report.add(Table("Inference", "Images a second in eval mode.", list(_inference(setup, device))))
    shape = work.images_a_step, work.width, work.side, device, least
    report.add(Table("Convolutions", "3x3, channels_last.", list(kernels.convolutions(*shape))))
    segments = (work.batch, work.pairs, work.pairs)
    normalized = kernels.normalizations(segments, *shape[1:], compiled=setup.compiled)
    report.add(Table("BatchNorm", "In train mode, forward and backward, the first stage's maps.", list(normalized)))
    report.add(Table("Grouped convolutions", GROUPED_NOTE, list(kernels.grouped_convolutions(*shape))))


def _steps(setup: Setup, device: str) -> Iterator[Row]:
    """Time a step kernel by kernel and as a graph, its forwards separate and fused, and compiled."""
    for precision in ("tf32", "bfloat16"):
        for graph in (False, True):
            for fused in (False, True):
                with ExitStack() as stack:
                    stack.enter_context(ours.fusion(fused))
                    if not graph:
                        stack.enter_context(ours.without_graphs())
                    yield _step_row(setup, device, precision, graph, "fused" if fused else "separate")
        if setup.compiled:
            with ours.fusion(False), ours.compiled():
                yield _step_row(setup, device, precision, True, "separate, inductor")


def _step_row(setup: Setup, device: str, precision: str, graph: bool, forwards: str) -> Row:
    row = {"precision": precision, "launched": "as a graph" if graph else "kernel by kernel", "forwards": forwards}
    try:
        seconds = middle(ours.steps(setup.work, device, precision)).seconds
    except Exception as error:  # what cannot be compiled or recorded is a finding, and the rest is still wanted
        return row | {"ms a step": f"{type(error).__name__}", "model, s": None}
    return row | {"ms a step": 1e3 * seconds, "model, s": CIFAR_EPOCHS * CIFAR_STEPS * seconds}


def _together(setup: Setup, device: str) -> Iterator[Row]:
    for precision in ("tf32", "bfloat16"):
        alone = 0.0
        for models in setup.together:
            seconds = middle(ours.steps(setup.work, device, precision, models=models)).seconds / models
            alone = alone or seconds
            whole = CIFAR_EPOCHS * CIFAR_STEPS * seconds
            yield {"precision": precision, "models": models, "ms a step": 1e3 * seconds, "model, s": whole,
                   "gain": alone / seconds}  # fmt: skip


def _same(setup: Setup, device: str) -> Row:
    models = setup.together[-1]
    work = replace(setup.work, steps=min(setup.work.steps, 20))
    together = ours.states(work, device, "bfloat16", models=models)
    alone = ours.states(work, device, "bfloat16", models=1)[0]
    different = [name for name, value in alone.items() if not torch.equal(value, together[0][name])]
    return {"models": models, "tensors": len(alone), "different": len(different), "first": (different or ["none"])[0]}


def _inference(setup: Setup, device: str) -> Iterator[Row]:
    attacked = victim(replace(setup.work, steps=min(setup.work.steps, 20)), max(setup.inferred), device)
    for batch in setup.inferred:
        images = attacked.images[:batch]
        row: dict[str, float] = {"batch": batch}
        for precision in PRECISIONS:
            with torch.inference_mode(), arithmetic(precision), autocast(device, precision):
                ask = partial(attacked.network, images)
                row[f"{precision}, images/s"] = batch / seconds_a_call(ask, device, least_seconds=setup.least_seconds)
        yield row


if __name__ == "__main__":
    main()

"""How fast a regularized training is: ours against the plain way, on the same work, in one run.

python benchmarks/training.py [--device cuda] [--tiny]
"""

import os
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import Any, NamedTuple

import click

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks import growth, options
from benchmarks.contenders import PLAIN, Contender, contenders
from benchmarks.machine import multiplications, using_threads
from benchmarks.plain import PlainRun, flops_of_step
from benchmarks.report import Report, Row, Table
from benchmarks.timing import Time, taking_turns
from benchmarks.workload import (
    CIFAR_EPOCHS,
    CIFAR_STEPS,
    CIFAR_TEST,
    CIFAR_TRAIN,
    CIFAR_VALIDATION,
    TINY,
    Work,
)
from robustbench_pix.devices import resolve_device

STEP_NOTE = (
    "A step of one model: 64 task images and 16 pairs unless said otherwise. Ours includes its share of the epoch's "
    "validation; the plain way includes its loader, a process more. Models: processes on a CPU, streams on CUDA. "
    "Processor ms: of all threads of a process, the plain loader's left out. TFLOP/s: of convolutions and products, "
    "all models together; the peak is that of a large matrix product in the same precision on as many threads. Ratio: "
    "how many times faster than the fastest plain way; like for like: than the one with as many threads and models."
)
EPOCH_NOTE = (
    "Calculated from the measured steps and evaluated images: 774 steps; the plain way then evaluates 49,500 training, "
    "500 validation and 10,000 test images through its loader, ours the "
    "validation images. Minutes: of a model's 40 epochs."
)


class Setup(NamedTuple):
    """The work, on how many cores, how often contenders take turns, and the sizes of the growth tables."""

    work: Work
    cores: int
    rounds: int
    batches: tuple[int, ...]
    sides: tuple[int, ...]
    training_images: tuple[int, ...]


SIZES = {"batches": (32, 64, 128), "sides": (8, 16, 32), "training_images": (4096, 16_384, 49_536)}
CPU = Setup(Work(), cores=min(2, os.cpu_count() or 1), rounds=3, **SIZES)
CUDA = Setup(Work(width=64, steps=CIFAR_STEPS, regularization_images=5000), cores=1, rounds=2, **SIZES)
SMALLEST = Setup(TINY, cores=1, rounds=1, batches=(8,), sides=(8,), training_images=(32,))


@click.command()
@options.of_a_device
def main(device: str | None, output: Path, tiny: bool) -> None:
    """Train the plain way and ours, and write what each step costs and how it grows."""
    device = resolve_device(device)
    setup = SMALLEST if tiny else CUDA if device.startswith("cuda") else CPU
    work, threads = setup.work, setup.cores
    report = Report("training", device, output, f"{work}, {setup.rounds} rounds")
    with ExitStack() as stack:
        times = taking_turns(contenders(work, device, setup.cores, stack), setup.rounds)
    flops = flops_of_step(work, device)
    kinds = sorted({(contender.precision, _threads_in_all(contender, device)) for contender in times})
    peaks = {kind: multiplications(device, kind[0], threads=kind[1], tiny=tiny) for kind in kinds}
    report.add(Table("A regularized step", STEP_NOTE, _steps(times, work, flops, peaks, device)))
    report.add(_epochs(times, work, device, threads, setup.rounds))
    report.add(growth.with_batch(work, setup.batches, device, threads, setup.rounds))
    report.add(growth.with_fusion(work, setup.sides, device, threads, setup.rounds))
    report.add(growth.with_training_images(work, setup.training_images, device))
    report.add(
        Table(
            "The device's peak",
            "The product of two square matrices; TF32 exists on GPUs only.",
            [{"precision": kind[0], "threads": kind[1], "TFLOP/s": peak / 1e12} for kind, peak in peaks.items()],
        )
    )


def _steps(
    times: dict[Contender, Time], work: Work, flops: int, peaks: dict[tuple[str, int], float], device: str
) -> list[Row]:
    each_of = {contender: time.seconds / contender.models for contender, time in times.items()}
    plain = {contender: each for contender, each in each_of.items() if contender.way == PLAIN}
    rows: list[Row] = []
    for contender, time in times.items():
        each, alike = each_of[contender], Contender(PLAIN, "float32", contender.threads, contender.models)
        rows.append(
            {
                **contender._asdict(),
                "ms a step": 1e3 * each,
                "processor ms": 1e3 * time.processor_seconds,
                "images/s": work.images_a_step / each,
                "TFLOP/s": flops / each / 1e12,
                "% of peak": 100 * flops / each / peaks[contender.precision, _threads_in_all(contender, device)],
                "ratio": min(plain.values()) / each,
                "like for like": plain[alike] / each if alike in plain else None,
            }
        )
    return rows


def _epochs(times: dict[Contender, Time], work: Work, device: str, threads: int, rounds: int) -> Table:
    """Return what an epoch of CIFAR-10 takes at the measured speed."""
    run = PlainRun(work, device)
    with using_threads(threads):
        image = taking_turns({PLAIN: run.evaluated}, rounds)[PLAIN].seconds
    rows: list[dict[str, Any]] = []
    for contender, time in times.items():
        evaluated = (CIFAR_TRAIN + CIFAR_VALIDATION + CIFAR_TEST) * image if contender.way == PLAIN else 0.0
        seconds = CIFAR_STEPS * time.seconds / contender.models + evaluated
        rows.append(
            {
                **contender._asdict(),
                "steps, s": seconds - evaluated,
                "evaluation, s": evaluated,
                "epoch, s": seconds,
                "model, minutes": CIFAR_EPOCHS * seconds / 60,
            }
        )
    fastest = min(row["epoch, s"] for row in rows if row["way"] == PLAIN)
    return Table("An epoch of CIFAR-10", EPOCH_NOTE, [row | {"ratio": fastest / row["epoch, s"]} for row in rows])


def _threads_in_all(contender: Contender, device: str) -> int:
    return 1 if device.startswith("cuda") else contender.threads * contender.models


if __name__ == "__main__":
    main()

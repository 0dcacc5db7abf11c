"""How the cost of a step grows: with the batch, with the size of an image, with the number of training images."""

from collections.abc import Sequence
from dataclasses import replace
from functools import partial

from benchmarks import ours
from benchmarks.contenders import OURS, PLAIN, our_steps, plain_steps
from benchmarks.plain import PlainRun
from benchmarks.processes import in_a_fresh_process
from benchmarks.report import Row, Table
from benchmarks.timing import Time, taking_turns
from benchmarks.workload import Work

BYTES_A_GIGABYTE = 1e9


def with_batch(work: Work, batches: Sequence[int], device: str, threads: int, rounds: int) -> Table:
    """Compare both ways at several batch sizes, the pairs in proportion."""
    rows: list[Row] = []
    precision = _published_precision(device)
    for batch in batches:
        sized = replace(work, batch=batch, pairs=max(1, work.pairs * batch // work.batch))
        ways = {
            PLAIN: partial(plain_steps, PlainRun(sized, device), precision, threads),
            OURS: partial(our_steps, sized, device, precision, threads),
        }
        times = {way: time.seconds for way, time in taking_turns(ways, rounds).items()}
        rows.append(
            {
                "task images a step": batch,
                "images a step": sized.images_a_step,
                **{f"{way}, ms a step": 1e3 * seconds for way, seconds in times.items()},
                **{f"{way}, images/s": sized.images_a_step / seconds for way, seconds in times.items()},
                "ratio": times[PLAIN] / times[OURS],
            }
        )
    return Table("Growth with the batch", f"In {precision}, pairs in proportion to the batch.", rows)


def with_fusion(work: Work, sides: Sequence[int], device: str, threads: int, rounds: int) -> Table:
    """Compare three separate forwards with fused ones at several sizes of image."""
    rows: list[Row] = []
    precision = _published_precision(device)
    for side in sides:
        sized = replace(work, network="small", side=side)
        ways = {fused: partial(_with_fusion, sized, device, precision, threads, fused) for fused in (False, True)}
        times = {fused: time.seconds for fused, time in taking_turns(ways, rounds).items()}
        rows.append(
            {
                "pixels a side": side,
                "separate, ms a step": 1e3 * times[False],
                "fused, ms a step": 1e3 * times[True],
                "ratio": times[False] / times[True],
            }
        )
    note = f"Ours in {precision}, network small of width {work.width}: in turn, or at once with segmented BatchNorm."
    return Table("Three forwards, separate or fused", note, rows)


def with_training_images(work: Work, counts: Sequence[int], device: str) -> Table:
    """Show that a step costs the same whatever the number of training images, and what memory they take."""
    rows: list[Row] = []
    for count in counts:
        sized = replace(work, network="small", width=4, steps=count // work.batch)
        time, memory = in_a_fresh_process(ours.step_and_memory, sized, device, _published_precision(device))
        row = {"training images": count, "ms a step": 1e3 * time.seconds, "host memory, GB": memory / BYTES_A_GIGABYTE}
        rows.append(row)
    note = "Ours, network small of width 4, one thread, each in a fresh process; memory is the most that it ever held."
    return Table("Growth with the training images", note, rows)


def _with_fusion(work: Work, device: str, precision: str, threads: int, fused: bool) -> list[Time]:
    with ours.fusion(fused):
        return our_steps(work, device, precision, threads)


def _published_precision(device: str) -> str:
    return "tf32" if device.startswith("cuda") else "float32"

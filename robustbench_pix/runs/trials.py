"""Trials of what a run would compute: the first steps of a training, and calls of its network, on one thread."""

import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import NamedTuple

import torch
from torch.nn import functional

from robustbench_pix.data.preparation import split
from robustbench_pix.foreign import foreign_code
from robustbench_pix.networks.inference import channels_last, for_inference
from robustbench_pix.runs.job import TrainingJob
from robustbench_pix.runs.locations import load
from robustbench_pix.runs.training_job import network_of, run_training
from robustbench_pix.training.plan import batch_sizes

TRIAL_SECONDS, LEAST_STEPS = 1.0, 6
"""For so long, and so many steps at least, a training is tried."""

TRIES = 5
"""Calls of a network."""


class Call(NamedTuple):
    """Seconds of a call of a network: its answers alone, and with the gradient by the images."""

    query: float
    gradient: float


def training_seconds(job: TrainingJob, device: str) -> float | None:
    """Return the seconds of a training, from its preparation and its first steps; None where these fail."""
    try:
        with foreign_code():
            return _tried(job, device)
    except Exception:  # Whatever code of a user raises: the run will say it.
        return None


def _tried(job: TrainingJob, device: str) -> float:
    protocol, data = job.identity.task.training, load(job.context.data)
    images = len(split(data, seed=0, fraction=protocol.validation_fraction, limit=protocol.train_images)[0])
    steps = protocol.epochs * (len(batch_sizes(protocol, images)) + 1)  # the validation is one
    with tempfile.TemporaryDirectory() as scratch, _one_thread():
        training = run_training(job, Path(scratch), device=device, progress=lambda fraction: None)
        with closing(training):
            prepared = _timed(lambda: next(training), device)
            next(training, None)  # On a GPU the first steps are not replayed yet.
            spent, done = 0.0, 0
            while (spent < TRIAL_SECONDS or done < LEAST_STEPS) and done < steps - 2:
                spent += _timed(lambda: next(training, None), device)
                done += 1
    return prepared + spent / max(done, 1) * (steps - 1)


def time_of_call(job: TrainingJob, images: int, device: str) -> Call:
    """Return the seconds of a call of a training's network, untrained; the fastest of a few."""
    data = load(job.context.data)
    places = torch.arange(images) % len(data.train_images)
    batch = data.train_images[places].to(device).float() / 255
    labels = torch.zeros(images, dtype=torch.int64, device=device)
    with _one_thread():
        folded = for_inference(network_of(job.identity, job.context).to(device))
        network = channels_last(network_of(job.identity, job.context).to(device).eval())

        def gradient() -> None:
            functional.cross_entropy(network(batch.requires_grad_()), labels).backward()

        def query() -> None:
            with torch.no_grad():
                folded(batch)

        return Call(*(min(_timed(step, device) for _ in range(TRIES)) for step in (query, gradient)))


@contextmanager
def _one_thread() -> Iterator[None]:
    """Compute on one thread, as a worker does."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def _timed(step: Callable[[], object], device: str) -> float:
    """Return the seconds of a step: on a CPU those of the processor, since other work on a machine comes and goes."""
    if not device.startswith("cuda"):
        started = time.process_time()
        step()
        return time.process_time() - started
    started = time.monotonic()
    step()
    torch.cuda.synchronize(device)
    return time.monotonic() - started

"""Our way to train, on the same work as ``plain.py``: one model, or several side by side in this process."""

import math
import resource
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from unittest.mock import patch

import torch
from torch import Tensor, nn

from benchmarks.timing import Time, middle, now
from benchmarks.workload import ALPHA, Work, gray_pictures
from robustbench_pix.training.batches import TrainingData
from robustbench_pix.training.loop import training
from robustbench_pix.training.side_by_side import SharedClock, side_by_side

VALIDATION_SHARE = 100
"""One validation image for so many training images, as in the paper."""

BYTES_A_KIBIBYTE = 1024


def steps(work: Work, device: str, precision: str, *, models: int = 1) -> list[Time]:
    """Train models side by side; return the time in which each of them takes a step.

    The epoch that is measured ends with its validation. One is trained before it, which allocates and, on CUDA,
    records; and of several models one after it, so that none is done while another is still measured.
    """
    ends: list[list[Time]] = [[] for _ in range(models)]
    epochs = 2 if models == 1 else 3
    _train([work.fresh_network(model) for model in range(models)], work, device, precision, epochs, ends)
    begun, ended = [times[0] for times in ends], [times[1] for times in ends]
    if max(begun) < min(ended):
        return [(max(ended) - max(begun)).over(work.steps)]
    alone = [later - earlier for earlier, later in zip(begun, ended, strict=True)]  # on a CPU, one after the other
    return [Time(*(sum(column) for column in zip(*alone, strict=True))).over(work.steps)]


def states(work: Work, device: str, precision: str, *, models: int) -> list[dict[str, Tensor]]:
    """Train models side by side for one epoch; return the weights and statistics of each."""
    networks = [work.fresh_network(model) for model in range(models)]
    _train(networks, work, device, precision, 1, [[] for _ in networks])
    return [network.state_dict() for network in networks]


def data_of(work: Work, device: str) -> TrainingData:
    """Return the generated pictures that the plain way is given too, in gray, on the device."""
    validating = max(1, work.batch * work.steps // VALIDATION_SHARE)
    parts = (
        *gray_pictures(work.batch * work.steps, work.side, seed=1),
        *gray_pictures(validating, work.side, seed=3),
        gray_pictures(work.regularization_images, work.side, seed=2)[0],
    )
    return TrainingData(*(part.to(device) for part in parts))


def _train(
    networks: list[nn.Module], work: Work, device: str, precision: str, epochs: int, ends: list[list[Time]]
) -> None:
    """Train networks side by side, each with its number as seed, and note the time at the end of each epoch."""
    trainings = []
    for seed, (network, noted) in enumerate(zip(networks, ends, strict=True)):
        data = data_of(work, device)
        regularizer = work.regularizer(network, data.regularization_images.cpu(), seed).to(device)
        trainings.append(
            training(
                network.to(device),
                regularizer,
                data,
                work.spec(epochs),
                seed=seed,
                alpha=ALPHA,
                device=device,
                precision=precision,
                progress=partial(_note, noted),
            )
        )
    side_by_side(trainings, device, SharedClock())


def _note(times: list[Time], fraction: float) -> None:
    times.append(now("cpu"))  # an epoch has ended with waiting for its losses


def step_and_memory(work: Work, device: str, precision: str) -> tuple[Time, int]:
    """Return the time of a step, and the most bytes of host memory that this process ever held."""
    return middle(steps(work, device, precision)), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * BYTES_A_KIBIBYTE


@contextmanager
def without_graphs() -> Iterator[None]:
    """Train kernel by kernel on CUDA too."""
    with patch("robustbench_pix.cuda_graphs.CALLS_BEFORE_CAPTURE", math.inf):
        yield


@contextmanager
def fusion(fused: bool) -> Iterator[None]:
    """Fuse the three forwards, or do them in turn, whatever network and device gain from."""
    with patch("robustbench_pix.training.step.gains_from_fusion", lambda network, images: fused):
        yield


@contextmanager
def compiled() -> Iterator[None]:
    """Let inductor compile the feature maps of every network that is trained."""
    plain = Work.fresh_network

    def compiling(work: Work, seed: int) -> nn.Module:
        network = plain(work, seed)
        network.features = torch.compile(network.features)
        return network

    with patch.object(Work, "fresh_network", compiling):
        yield

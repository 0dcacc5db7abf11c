"""Networks to attack: trained for a moment on generated pictures, with other pictures of the kind."""

from dataclasses import replace
from typing import NamedTuple

import torch
from torch import Tensor, nn

from benchmarks.ours import data_of
from benchmarks.timing import seconds_a_call
from benchmarks.workload import Work, gray_pictures
from robustbench_pix.devices import arithmetic
from robustbench_pix.evaluation.judging import judge_batch, predict
from robustbench_pix.networks.inference import for_inference
from robustbench_pix.training.loop import train

EPOCHS = 5
LARGEST_SIDE_CONTIGUOUS = 16


class Victim(NamedTuple):
    """A network in eval mode, images float32 (N, 1, H, W), and as their labels what it takes them for, int64 (N,).

    ``asked`` is the same network as the harness asks it.
    """

    network: nn.Module
    asked: nn.Module
    images: Tensor
    labels: Tensor
    device: str

    def first(self, count: int) -> "Victim":
        """Return the same with fewer images."""
        return self._replace(images=self.images[:count], labels=self.labels[:count])


def victim(work: Work, count: int, device: str, *, seed: int = 0) -> Victim:
    """Return an unregularized network trained for a few short epochs, and so many images, new to it.

    The libraries are given it in the memory layout in which it is faster.
    """
    work = replace(work, pairs=1, regularization_images=2)
    network = work.fresh_network(seed).to(device)
    train(network, None, data_of(work, device), work.spec(EPOCHS), seed=seed, alpha=0.0, device=device)
    layout = torch.contiguous_format if _contiguous(work, device) else torch.channels_last
    network = network.eval().requires_grad_(False).to(memory_format=layout)
    images = gray_pictures(count, work.side, seed=4)[0].to(device).float() / 255
    return Victim(network, for_inference(network), images, predict(network, images, device=device), device)


def inferences_a_second(victim_: Victim, *, least_seconds: float) -> float:
    """Return how many images a second pass through the network in float32, in batches as the harness judges them."""
    images = victim_.images
    size = judge_batch(victim_.device, images.shape[1:].numel())
    batch = images.repeat(1 + size // len(images), 1, 1, 1)[:size]

    def infer() -> None:
        victim_.network(batch)

    with torch.inference_mode(), arithmetic("float32"):
        return size / seconds_a_call(infer, victim_.device, least_seconds=least_seconds)


def _contiguous(work: Work, device: str) -> bool:
    return device == "cpu" and work.side <= LARGEST_SIDE_CONTIGUOUS

"""The three forwards of a step, in this order: task images, first images of the pairs, second images of the pairs.

Each is normalized by its own statistics and updates the running ones. Where network and device gain from it they are
fused into one pass, with the same result.
"""

from typing import Any, NamedTuple, cast

import torch
from torch import Tensor, nn

from robustbench_pix.networks.building import features
from robustbench_pix.networks.segments import segmented

LARGEST_FUSED_ON_CPU = 16 * 16
"""Pixels of an image. Fusing saves launches; on a CPU larger images lose more to its caches than that."""


class Passes(NamedTuple):
    """The task's logits, (N, classes), and the pairs' feature maps, one (P, C, H, W) a layer."""

    logits: Tensor
    first: list[Tensor]
    second: list[Tensor]


def gains_from_fusion(network: nn.Module, images: Tensor) -> bool:
    """Return whether forwards of such a network on such images, (N, C, H, W), are fused.

    A network that states ``fusible = True`` promises that its logits are ``head(features(images)[-1])``, and that the
    images of a batch meet in ``robustbench_pix.networks.segments.BatchNorm2d`` alone.
    """
    height, width = images.shape[2:]
    fits = images.device.type != "cpu" or height * width <= LARGEST_FUSED_ON_CPU
    return fits and getattr(network, "fusible", False)


def layout(network: nn.Module, device: str) -> torch.memory_format:
    """Return how weights and images are laid out: channels_last, in which convolutions are faster.

    Not on a CPU where BatchNorm may be torch's own, which is inaccurate there (``networks/segments.py``).
    """
    known = getattr(network, "fusible", False) or not device.startswith("cpu")
    return torch.channels_last if known else torch.contiguous_format


def three_passes(network: nn.Module, images: Tensor, first: Tensor, second: Tensor, *, fused: bool) -> Passes:
    """Do the three forwards; images of the pairs may have another size than those of the task."""
    if not fused:
        return Passes(network(images), features(network, first), features(network, second))
    if images.shape[1:] != first.shape[1:]:
        return Passes(network(images), *_both_sides(network, first, second))
    sizes = len(images), len(first), len(second)
    with segmented(network, sizes):
        taps = features(network, torch.cat([images, first, second]))
    parts = [tap.split(sizes) for tap in taps]
    return Passes(cast(Any, network).head(parts[-1][0]), [part[1] for part in parts], [part[2] for part in parts])


@torch.no_grad()
def passes_for_statistics(network: nn.Module, first: Tensor, second: Tensor, *, fused: bool) -> None:
    """Do the forwards of the pairs for what they do to BatchNorm's running statistics, and nothing else."""
    if fused:
        _both_sides(network, first, second)
    else:
        features(network, first)
        features(network, second)


def _both_sides(network: nn.Module, first: Tensor, second: Tensor) -> tuple[list[Tensor], list[Tensor]]:
    sizes = len(first), len(second)
    with segmented(network, sizes):
        parts = [tap.split(sizes) for tap in features(network, torch.cat([first, second]))]
    return [part[0] for part in parts], [part[1] for part in parts]

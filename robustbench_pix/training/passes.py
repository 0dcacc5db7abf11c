"""The forward passes of a training step: task batch, first images, second images, single images, in this order.

Each is normalized by its own statistics and updates the running ones. Where network and device gain from it they are
fused into one pass, with the same result.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple, cast

import torch
from torch import Tensor, nn

from robustbench_pix.errors import JobFailedError
from robustbench_pix.networks.building import features
from robustbench_pix.networks.segments import segmented

LARGEST_FUSED_ON_CPU = 16 * 16
"""Pixels of an image. Fusing saves kernel launches; on a CPU larger images lose more by cache misses."""


class Passes(NamedTuple):
    """The task's logits, (N, classes), its feature maps where they are wanted, and those of the regularization data.

    Each list of maps has one (N, C, H, W) a tapped layer; ``others`` has one list for each set of images.
    """

    logits: Tensor
    features: list[Tensor]
    others: list[list[Tensor]]


def gains_from_fusion(network: nn.Module, images: Tensor) -> bool:
    """Return whether forward passes of this network on images like these, (N, C, H, W), are fused.

    A network that states ``fusible = True`` promises that its logits are ``head(features(images)[-1])``, and that the
    images of a batch interact in ``robustbench_pix.networks.segments.BatchNorm2d`` alone.
    """
    height, width = images.shape[2:]
    fits = images.device.type != "cpu" or height * width <= LARGEST_FUSED_ON_CPU
    return fits and getattr(network, "fusible", False)


def forward_passes(
    network: nn.Module,
    views: Sequence[Tensor],
    others: Sequence[Tensor],
    *,
    fused: bool,
    task_features: bool = False,
    others_gradient: bool = True,
) -> Passes:
    """Run the forward passes of a step; the regularization data may have another size than the task's images.

    Args:
        views: the task's images, those that BatchNorm normalizes together in one tensor (N, C, H, W).
        others: sets of images of the regularization data, each (P, C, H, W).
        task_features: whether the feature maps of the task's images are wanted.
        others_gradient: whether those of the regularization data are; otherwise their passes move BatchNorm's
            statistics and nothing else.

    Raises:
        JobFailedError: feature maps of the task are wanted of a network without ``head``.
    """
    if fused and others and others_gradient and views[0].shape[1:] == others[0].shape[1:]:
        maps = _in_segments(network, [*views, *others])
        task = _joined(maps[: len(views)])
        return Passes(_head(network, task[-1]), task, maps[len(views) :])
    logits, task = _task_passes(network, views, fused=fused, task_features=task_features)
    with torch.set_grad_enabled(others_gradient):
        if fused and others:
            return Passes(logits, task, _in_segments(network, others))
        return Passes(logits, task, [features(network, images) for images in others])


def _task_passes(
    network: nn.Module, views: Sequence[Tensor], *, fused: bool, task_features: bool
) -> tuple[Tensor, list[Tensor]]:
    if len(views) == 1 and not task_features:
        return network(views[0]), []
    if not task_features and not fused:
        return torch.cat([network(view) for view in views]), []
    maps = _in_segments(network, views) if fused else [features(network, view) for view in views]
    task = _joined(maps)
    return _head(network, task[-1]), task


def _in_segments(network: nn.Module, batches: Sequence[Tensor]) -> list[list[Tensor]]:
    """Return the feature maps of several batches from one pass."""
    sizes = tuple(map(len, batches))
    with segmented(network, sizes):
        taps = features(network, torch.cat([*batches]))
    parts = [tap.split(sizes) for tap in taps]
    return [[part[index] for part in parts] for index in range(len(sizes))]


def _joined(maps: list[list[Tensor]]) -> list[Tensor]:
    return maps[0] if len(maps) == 1 else [torch.cat(layers) for layers in zip(*maps, strict=True)]


def _head(network: nn.Module, hidden: Tensor) -> Tensor:
    if not callable(getattr(network, "head", None)):
        raise JobFailedError("the recipe wants task_features, so the network needs a method head(last map) -> logits")
    return cast(Tensor, cast(Any, network).head(hidden))

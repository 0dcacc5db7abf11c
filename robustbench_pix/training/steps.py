"""Batches, forward passes and penalty of a training step. Data and plan reside on the device: a step can be captured.

The position in the epoch's plan is a tensor on the device too, so a step takes its batch without the host. Its three
forward passes are, in this order: task images, first images of the pairs, second images of the pairs. Each is
normalized by its own statistics and updates the running ones. Where network and device gain from it they are fused into
one pass, with the same result.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, NamedTuple, cast

import torch
from torch import Tensor, nn

from robustbench_pix.data.preparation import Crops, crop_and_flip
from robustbench_pix.errors import JobFailedError
from robustbench_pix.foreign import foreign_code
from robustbench_pix.networks.building import features
from robustbench_pix.networks.segments import segmented
from robustbench_pix.regularizers.base import PairStep, Regularizer
from robustbench_pix.training.plan import EpochPlan, Pairs


@dataclass(frozen=True)
class TrainingData:
    """Images uint8 (N, C, H, W) and labels int64 (N,), all on the device that trains."""

    images: Tensor
    labels: Tensor
    validation_images: Tensor
    validation_labels: Tensor
    regularization_images: Tensor


class TaskBatch(NamedTuple):
    """Images in [0, 1], (N, C, H, W), and labels int64 (N,)."""

    images: Tensor
    labels: Tensor


class PairBatch(NamedTuple):
    """The images of both sides in [0, 1], each (P, C, H, W), and the pairs' numbers int64 (P,)."""

    first: Tensor
    second: Tensor
    ranks: Tensor


class ResidentPlan:
    """The batches of an epoch's plan, one after the other.

    Args:
        data: the training data, on the device.
        dtype, memory_format: type and layout of the returned images.
    """

    def __init__(self, data: TrainingData, dtype: torch.dtype, memory_format: torch.memory_format) -> None:
        self.data, self.dtype, self.memory_format, self.device = data, dtype, memory_format, data.images.device
        self.seen = torch.zeros((), dtype=torch.int64, device=self.device)
        self.step = torch.zeros((), dtype=torch.int64, device=self.device)
        self.order: Tensor | None = None
        self.crops: Crops | None = None
        self.pairs: Pairs | None = None

    def begin(self, plan: EpochPlan) -> None:
        """Load the plan of another epoch into the same tensors."""
        self.seen.zero_()
        self.step.zero_()
        if self.order is None:
            self.order = plan.order.to(self.device)
            self.crops = None if plan.crops is None else Crops(*(part.to(self.device) for part in plan.crops))
            self.pairs = None if plan.pairs is None else Pairs(*(part.to(self.device) for part in plan.pairs))
            return
        buffers = self.order, *(self.crops or ()), *(self.pairs or ())
        for buffer, part in zip(buffers, (plan.order, *(plan.crops or ()), *(plan.pairs or ())), strict=True):
            buffer.copy_(part)

    def task_batch(self, size: int) -> TaskBatch:
        """Return the next ``size`` images."""
        assert self.order is not None
        places = self.seen + torch.arange(size, device=self.device)
        numbers = self.order[places]
        images = self.data.images[numbers]
        if self.crops is not None:
            rows, columns, flips = (part[places] for part in self.crops)
            images = crop_and_flip(images, rows, columns, flips)
        self.seen += size
        return TaskBatch(self._as_input(images), self.data.labels[numbers])

    def pair_batch(self) -> PairBatch:
        """Return the pairs of the next step."""
        assert self.pairs is not None
        ranks, first, second = (part.index_select(0, self.step.view(1))[0] for part in self.pairs)
        self.step += 1
        images = self.data.regularization_images
        return PairBatch(self._as_input(images[first]), self._as_input(images[second]), ranks)

    def _as_input(self, images: Tensor) -> Tensor:
        return as_input(images, self.dtype, self.memory_format)


def as_input(images: Tensor, dtype: torch.dtype, memory_format: torch.memory_format) -> Tensor:
    """Return uint8 images as floats in [0, 1]."""
    return (images.to(dtype) / 255).contiguous(memory_format=memory_format)


LARGEST_FUSED_ON_CPU = 16 * 16
"""Pixels of an image. Fusing saves kernel launches; on a CPU larger images lose more by cache misses."""


class Passes(NamedTuple):
    """The task's logits, (N, classes), and the pairs' feature maps, one (P, C, H, W) a layer."""

    logits: Tensor
    first: list[Tensor]
    second: list[Tensor]


def gains_from_fusion(network: nn.Module, images: Tensor) -> bool:
    """Return whether forward passes of this network on images like these, (N, C, H, W), are fused.

    A network that states ``fusible = True`` promises that its logits are ``head(features(images)[-1])``, and that the
    images of a batch interact in ``robustbench_pix.networks.segments.BatchNorm2d`` alone.
    """
    height, width = images.shape[2:]
    fits = images.device.type != "cpu" or height * width <= LARGEST_FUSED_ON_CPU
    return fits and getattr(network, "fusible", False)


def three_passes(network: nn.Module, images: Tensor, first: Tensor, second: Tensor, *, fused: bool) -> Passes:
    """Run the three forward passes; images of the pairs may have another size than those of the task."""
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
    """Run the forward passes of the pairs for their effect on BatchNorm's running statistics alone."""
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


def penalty_of(
    regularizer: Regularizer, pairs: PairBatch, first: list[Tensor], second: list[Tensor], device: str
) -> Tensor:
    """Return the penalty, computed from float32 features whatever the precision of the network.

    Raises:
        JobFailedError: the regularizer raised, or returned no scalar tensor.
    """
    first, second = ([at_least_float32(layer) for layer in side] for side in (first, second))
    try:
        with torch.autocast(torch.device(device).type, enabled=False), foreign_code():
            penalty = regularizer(PairStep(first, second, pairs.first, pairs.second, pairs.ranks))
    except Exception as error:
        raise JobFailedError(f"the regularizer raised {type(error).__name__}: {error}") from error
    if not isinstance(penalty, Tensor) or penalty.ndim != 0:
        raise JobFailedError(f"the regularizer returned {_kind(penalty)} where a scalar tensor is expected")
    return penalty


class GradientWatch:
    """Records in one step whether a gradient of the penalty reaches the features of the pairs.

    Nothing is computed twice, and nothing waits for the device. A zero gradient counts: it may be larger later.
    """

    def __init__(self, features: Iterable[Tensor]) -> None:
        self.reached = False
        for layer in features:
            if layer.requires_grad:
                layer.register_hook(self._see)

    def _see(self, gradient: Tensor | None) -> None:
        self.reached |= gradient is not None

    def require_reached(self) -> None:
        """Refuse, after the backward pass, a penalty without effect on training.

        Raises:
            JobFailedError: the penalty is a constant, or was cut off from the features.
        """
        if not self.reached:
            raise JobFailedError(
                "the penalty has no gradient to the network, so it would do nothing (a constant, .detach(), numpy?); "
                "compute it from step.first and step.second in torch, or say penalizes = False where only their "
                "forwards are wanted"
            )


def at_least_float32(values: Tensor) -> Tensor:
    """Return values in float32, or in float64 where they are."""
    return values if values.dtype == torch.float64 else values.float()


def _kind(value: object) -> str:
    return f"a tensor of shape {tuple(value.shape)}" if isinstance(value, Tensor) else f"a {type(value).__name__}"

"""The batches of an epoch's plan. Data and plan reside on the device, so that a step can be captured.

The position in the plan is a tensor on the device too: a step takes its batch without the host.
"""

from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from robustbench_pix.data.preparation import Crops, crop_and_flip
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


class SingleBatch(NamedTuple):
    """Images in [0, 1], (S, C, H, W), and their numbers in the regularization data, int64 (S,)."""

    images: Tensor
    numbers: Tensor


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
        self.singles: Tensor | None = None

    def begin(self, plan: EpochPlan) -> None:
        """Load the plan of another epoch into the same tensors."""
        self.seen.zero_()
        self.step.zero_()
        if self.order is None:
            self.order = plan.order.to(self.device)
            self.crops = None if plan.crops is None else Crops(*(part.to(self.device) for part in plan.crops))
            self.pairs = None if plan.pairs is None else Pairs(*(part.to(self.device) for part in plan.pairs))
            self.singles = None if plan.singles is None else plan.singles.to(self.device)
            return
        held = self.order, *(self.crops or ()), *(self.pairs or ()), self.singles
        parts = plan.order, *(plan.crops or ()), *(plan.pairs or ()), plan.singles
        for buffer, part in zip(held, parts, strict=True):
            if buffer is not None and part is not None:
                buffer.copy_(part)

    def task_batch(self, size: int) -> TaskBatch:
        """Return the ``size`` images of this step."""
        assert self.order is not None
        places = self.seen + torch.arange(size, device=self.device)
        numbers = self.order[places]
        images = self.data.images[numbers]
        if self.crops is not None:
            rows, columns, flips = (part[places] for part in self.crops)
            images = crop_and_flip(images, rows, columns, flips)
        return TaskBatch(self.as_input(images), self.data.labels[numbers])

    def pair_batch(self) -> PairBatch:
        """Return the pairs of this step."""
        assert self.pairs is not None
        ranks, first, second = (self._row(part) for part in self.pairs)
        images = self.data.regularization_images
        return PairBatch(self.as_input(images[first]), self.as_input(images[second]), ranks)

    def single_batch(self) -> SingleBatch:
        """Return the single images of this step."""
        assert self.singles is not None
        numbers = self._row(self.singles)
        return SingleBatch(self.as_input(self.data.regularization_images[numbers]), numbers)

    def advance(self, size: int) -> None:
        """Go on to the next step, after one of ``size`` images."""
        self.seen += size
        self.step += 1

    def as_input(self, images: Tensor) -> Tensor:
        """Return uint8 images as floats in [0, 1], of the network's type and layout."""
        return as_input(images, self.dtype, self.memory_format)

    def _row(self, table: Tensor) -> Tensor:
        return table.index_select(0, self.step.view(1))[0]


def as_input(images: Tensor, dtype: torch.dtype, memory_format: torch.memory_format) -> Tensor:
    """Return uint8 images as floats in [0, 1]."""
    return (images.to(dtype) / 255).contiguous(memory_format=memory_format)


def at_least_float32(values: Tensor) -> Tensor:
    """Return values in float32, or in float64 where they are."""
    return values if values.dtype == torch.float64 else values.float()

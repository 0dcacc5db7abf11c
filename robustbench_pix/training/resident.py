"""What a training reads, resident on the device that trains: images, labels, and the plan of the running epoch.

The place in the plan is a number on the device too. So a step takes its batch without asking the host for anything, and
can be recorded once and replayed.
"""

from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from robustbench_pix.data.augmentation import crop_and_flip
from robustbench_pix.training.plan import Crops, EpochPlan, Pairs


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
    """Hands out the batches of an epoch's plan, one after the other.

    Args:
        data: on the device.
        dtype, memory_format: of the images that are handed out.
    """

    def __init__(self, data: TrainingData, dtype: torch.dtype, memory_format: torch.memory_format) -> None:
        self.data, self.dtype, self.memory_format, self.device = data, dtype, memory_format, data.images.device
        self.seen = torch.zeros((), dtype=torch.int64, device=self.device)
        self.step = torch.zeros((), dtype=torch.int64, device=self.device)
        self.order: Tensor | None = None
        self.crops: Crops | None = None
        self.pairs: Pairs | None = None

    def begin(self, plan: EpochPlan) -> None:
        """Put the plan of another epoch in the place of the last one, into the same tensors."""
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
        """Return the next images, so many."""
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

"""The plan of an epoch: integers drawn on the CPU from keyed streams, the same on every device and for every recipe."""

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from robustbench_pix.catalogue.specs import TrainingSpec
from robustbench_pix.data.augmentation import draw_crops
from robustbench_pix.randomness import stream


class Crops(NamedTuple):
    """Top rows and left columns of the crops in the padded images, int64 (N,), and which are flipped, bool (N,)."""

    rows: Tensor
    columns: Tensor
    flips: Tensor


class EpochPlan(NamedTuple):
    """Batches of image numbers, the crops of the images in batch order, and a uniform number for each drawn pair."""

    batches: list[Tensor]
    crops: list[Crops] | None
    pair_uniforms: np.ndarray


def epoch_plan(spec: TrainingSpec, *, seed: int, epoch: int, images: int, pairs: int) -> EpochPlan:
    """Return the plan of one epoch over so many training images, with so many pairs a step.

    The last batch is kept whatever its size, unless it is smaller than ``spec.minimum_batch``.
    """
    order = torch.from_numpy(stream("order", seed, epoch).permutation(images))
    batches = [batch for batch in order.split(spec.batch_size) if len(batch) >= spec.minimum_batch]
    crops = None
    if spec.augmentation == "crop-and-flip":
        drawn = [torch.from_numpy(part) for part in draw_crops(stream("augmentation", seed, epoch), images)]
        parts = [part.split(spec.batch_size) for part in drawn]
        crops = [Crops(*triple) for triple in zip(*parts, strict=True)]
    return EpochPlan(batches, crops, stream("pairs", seed, epoch).random((len(batches), pairs)))


def draw_ranks(uniforms: np.ndarray, count: int, allowed: Tensor | None) -> Tensor:
    """Return the numbers of the drawn pairs, int64: uniform over all ``count`` pairs, or over the allowed ones."""
    drawn = torch.from_numpy((uniforms * (count if allowed is None else len(allowed))).astype(np.int64))
    return drawn if allowed is None else allowed[drawn]


def learning_rate(spec: TrainingSpec, epoch: int) -> float:
    """Return the learning rate of an epoch, counted from 0: times ``decay`` every so often, and back at each restart.

    >>> spec = TrainingSpec(epochs=40)
    >>> [round(learning_rate(spec, epoch), 6) for epoch in (0, 4, 19, 20)]
    [0.1, 0.03, 0.00081, 0.1]
    """
    return spec.learning_rate * spec.decay ** ((epoch % spec.restart_every) // spec.decay_every)

"""The plan of an epoch: indices drawn on the CPU from streams by key, the same on every device and for every recipe."""

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from robustbench_pix.catalogue.specs import TrainingSpec
from robustbench_pix.data.preparation import Crops, draw_crops
from robustbench_pix.randomness import stream
from robustbench_pix.regularizers.pairs import pair_count, unrank


class Pairs(NamedTuple):
    """Ranks of pairs, and indices of their first and second images, all int64 (steps, P)."""

    ranks: Tensor
    first: Tensor
    second: Tensor


class EpochPlan(NamedTuple):
    """What an epoch is trained on.

    Attributes:
        order: image indices in their order, int64 (N,).
        crops: their crops in that order.
        pairs: of images of the regularization data.
        sizes: of the batches.
        singles: indices of single images of the regularization data, int64 (steps, S).
    """

    order: Tensor
    crops: Crops | None
    pairs: Pairs | None
    sizes: list[int]
    singles: Tensor | None = None


def batch_sizes(spec: TrainingSpec, images: int) -> list[int]:
    """Return the sizes of an epoch's batches; the last is kept unless it is smaller than ``minimum_batch``.

    >>> batch_sizes(TrainingSpec(epochs=1), 150)
    [64, 64, 22]
    """
    full, rest = divmod(images, spec.batch_size)
    return [spec.batch_size] * full + [rest] * (rest >= spec.minimum_batch and rest > 0)


def epoch_plan(
    spec: TrainingSpec,
    *,
    seed: int,
    epoch: int,
    images: int,
    pairs: int = 0,
    regularization_images: int = 0,
    allowed: Tensor | None = None,
    singles: int = 0,
) -> EpochPlan:
    """Return the plan of one epoch: ``images`` training images, and of regularization data a step so many pairs.

    Pairs are uniform over all pairs, or over the ``allowed`` ones, int64 (K,). The ``singles`` of a step are different
    images, uniform over all.
    """
    order = torch.from_numpy(stream("order", seed, epoch).permutation(images))
    sizes = batch_sizes(spec, images)
    crops = None
    if spec.augmentation == "crop-and-flip":
        crops = draw_crops(stream("augmentation", seed, epoch), images)
    drawn = None
    if pairs:
        uniforms = stream("pairs", seed, epoch).random((len(sizes), pairs))
        ranks = draw_ranks(uniforms, pair_count(regularization_images), allowed)
        drawn = Pairs(ranks, *unrank(ranks, regularization_images))
    return EpochPlan(order, crops, drawn, sizes, _singles(seed, epoch, len(sizes), singles, regularization_images))


def _singles(seed: int, epoch: int, steps: int, singles: int, images: int) -> Tensor | None:
    """Return the indices of single images, int64 (steps, S), or None for none."""
    if not singles:
        return None
    generator = stream("singles", seed, epoch)
    return torch.from_numpy(np.stack([generator.permutation(images)[:singles] for _ in range(steps)]))


def draw_ranks(uniforms: np.ndarray, count: int, allowed: Tensor | None) -> Tensor:
    """Return the ranks of the drawn pairs, int64: uniform over all ``count`` pairs, or over the allowed ones."""
    drawn = torch.from_numpy((uniforms * (count if allowed is None else len(allowed))).astype(np.int64))
    return drawn if allowed is None else allowed[drawn]


def learning_rate(spec: TrainingSpec, epoch: int) -> float:
    """Return the learning rate of an epoch, counted from 0: times ``decay`` every so often, and back at each restart.

    >>> spec = TrainingSpec(epochs=40)
    >>> [round(learning_rate(spec, epoch), 6) for epoch in (0, 4, 19, 20)]
    [0.1, 0.03, 0.00081, 0.1]
    """
    return spec.learning_rate * spec.decay ** ((epoch % spec.restart_every) // spec.decay_every)

"""The fast gradient method (Goodfellow, Shlens, Szegedy 2015), on a source model or on the attacked one."""

from collections.abc import Callable, Iterator, Sequence
from functools import partial

import torch
from torch import Tensor
from torch.nn import functional

from robustbench_pix.attacks.access import Oracle
from robustbench_pix.attacks.balls import steepest
from robustbench_pix.attacks.base import FixedStrengthAttack, ImageKey, Target, attacked_module
from robustbench_pix.attacks.engine_classes import bounds


class FastGradientSign(FixedStrengthAttack):
    """x + epsilon sign(g) for linf, x + epsilon g / ||g|| for l2, clamped to [0, 1].

    g is the gradient of the label's cross-entropy in eval mode. With access ``transfer`` it is that of the source
    model, and its signs, one byte each, or unit vectors are kept for the models attacked next.
    With ``gradients`` each strength is an attack of its own and asks once.
    """

    needs = bounds("gradients", "linf", "l2")

    def perturb(
        self, target: Target, images: Tensor, labels: Tensor, strengths: Sequence[float], keys: Sequence[ImageKey]
    ) -> Iterator[Tensor]:
        """Yield the images moved by each strength; at 0 the images, without a query."""
        make = partial(_directions, attacked_module(target), images, labels, target.norm)
        directions = None if target.source is None else self._recalled(target, make, labels, images, keys)
        for strength in strengths:
            if strength == 0:
                yield images
            else:
                yield (images + strength * (make() if directions is None else directions)).clamp(0, 1)

    def _recalled(
        self, target: Target, make: Callable[[], Tensor], labels: Tensor, images: Tensor, keys: Sequence[ImageKey]
    ) -> Tensor:
        if target.source_memory is None:
            return make()
        key = (type(self), target.norm, tuple(keys), tuple(labels.tolist()), images.shape, images.device)
        return target.source_memory.recall(key, make)


def _directions(model: Oracle, images: Tensor, labels: Tensor, norm: str) -> Tensor:
    inputs = images.clone().requires_grad_()
    with torch.enable_grad():
        loss = functional.cross_entropy(model(inputs), labels, reduction="sum")
    direction = steepest(torch.autograd.grad(loss, inputs)[0], norm)
    return direction.to(torch.int8) if norm == "linf" else direction

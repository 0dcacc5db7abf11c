"""Fast gradient sign (Goodfellow, Shlens, Szegedy 2015), on a source model or on the attacked one."""

from collections.abc import Iterator, Sequence
from functools import partial

import torch
from torch import Tensor
from torch.nn import functional

from robustbench_pix.attacks.access import Oracle
from robustbench_pix.attacks.base import FixedStrengthAttack, ImageKey, Target, attacked_module


class FastGradientSign(FixedStrengthAttack):
    """x + epsilon sign(dL/dx), L the cross-entropy of the label in eval mode, clamped to [0, 1].

    With access ``transfer`` the gradient is that of the source model, and its signs, one byte each, are
    kept for the models attacked next.
    """

    def perturb(
        self, target: Target, images: Tensor, labels: Tensor, strengths: Sequence[float], keys: Sequence[ImageKey]
    ) -> Iterator[Tensor]:
        """Yield the images moved by each linf strength along one sign."""
        make = partial(_signs, attacked_module(target), images, labels)
        if target.source is None or target.source_memory is None:
            signs = make()
        else:
            key = (type(self), tuple(keys), tuple(labels.tolist()), images.shape, images.device)
            signs = target.source_memory.recall(key, make)
        for strength in strengths:
            yield (images + strength * signs).clamp(0, 1)


def _signs(model: Oracle, images: Tensor, labels: Tensor) -> Tensor:
    inputs = images.clone().requires_grad_()
    with torch.enable_grad():
        loss = functional.cross_entropy(model(inputs), labels, reduction="sum")
    return torch.autograd.grad(loss, inputs)[0].sign().to(torch.int8)

"""Fast gradient sign (Goodfellow, Shlens, Szegedy 2015), on a source model or on the attacked one."""

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor
from torch.nn import functional

from robustbench_pix.attacks.base import FixedStrengthAttack, ImageKey, Target, attacked_module


class FastGradientSign(FixedStrengthAttack):
    """x + epsilon sign(dL/dx), L the cross-entropy of the label in eval mode, clamped to [0, 1].

    With access ``transfer`` the gradient is that of the unregularized source model.
    """

    def perturb(
        self, target: Target, images: Tensor, labels: Tensor, strengths: Sequence[float], keys: Sequence[ImageKey]
    ) -> Iterator[Tensor]:
        """Yield the images moved by each linf strength along one sign."""
        model = attacked_module(target)
        inputs = images.clone().requires_grad_()
        with torch.enable_grad():
            loss = functional.cross_entropy(model(inputs), labels, reduction="sum")
        sign = torch.autograd.grad(loss, inputs)[0].sign()
        for strength in strengths:
            yield (images + strength * sign).clamp(0, 1)

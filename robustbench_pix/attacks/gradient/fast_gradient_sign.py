"""The fast gradient method (Goodfellow, Shlens, Szegedy 2015), on a source model or on the attacked one."""

import torch
from torch import Tensor
from torch.nn import functional

from robustbench_pix.attacks.base import AttackContext, SearchAttack
from robustbench_pix.attacks.common.norms import Ball, steepest
from robustbench_pix.attacks.querying.oracle import Oracle
from robustbench_pix.attacks.requirements import bounds
from robustbench_pix.randomness import ImageKeys


class FastGradientSign(SearchAttack):
    """x + epsilon sign(g) for linf, x + epsilon g / ||g|| for l2, clamped to [0, 1].

    g is the gradient of the label's cross-entropy in eval mode. With access ``transfer`` it is the source model's, and
    its signs (one byte each) or unit vectors are kept for the next attacked models. With ``gradients`` each strength is
    an attack on its own, with one query.
    """

    needs = bounds("gradients", "linf", "l2")

    def search(self, context: AttackContext, ball: Ball, labels: Tensor, keys: ImageKeys) -> Tensor:
        """Return the images moved by the radius."""
        images = ball.images
        directions = context.cached(
            type(self), images, labels, keys, lambda: _directions(context.model, images, labels, ball.norm)
        )
        return (images + ball.radius * directions).clamp(0, 1)


def _directions(model: Oracle, images: Tensor, labels: Tensor, norm: str) -> Tensor:
    inputs = images.clone().requires_grad_()
    with torch.enable_grad():
        loss = functional.cross_entropy(model(inputs), labels, reduction="sum")
    direction = steepest(torch.autograd.grad(loss, inputs)[0], norm)
    return direction.to(torch.int8) if norm == "linf" else direction

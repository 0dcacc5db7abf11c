"""Images that are still to be fooled, and what a white-box attack asks about them."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Self

import torch
from torch import Tensor
from torch.nn import functional

from robustbench_pix.attacks.access import Oracle
from robustbench_pix.attacks.balls import Ball

Loss = Callable[[Tensor, Tensor, Tensor], Tensor]
"""Of logits (N, classes), labels (N,) and targets (N,): a number (N,) that is to rise."""


@dataclass(frozen=True)
class Victims:
    """N images under attack by one search.

    Attributes:
        labels: the classes to be left, int64 (N,).
        targets: the classes that targeted losses aim at, int64 (N,).
        rows: for the ledger, the places of these images among all that the attack was given, int64 (N,).
    """

    oracle: Oracle
    ball: Ball
    labels: Tensor
    targets: Tensor
    rows: Tensor

    def of(self, chosen: Tensor) -> Self:
        """Return some of them, bool (N,) or int64 (M,)."""
        ball, labels, targets, rows = self.ball.of(chosen), self.labels[chosen], self.targets[chosen], self.rows[chosen]
        return type(self)(self.oracle, ball, labels, targets, rows)

    def fooled(self, points: Tensor) -> Tensor:
        """Ask whether the model is wrong about one point of each image, bool (N,)."""
        with torch.no_grad():
            return self.oracle(points, self.rows).argmax(dim=1) != self.labels

    def uphill(self, points: Tensor, loss: Loss) -> tuple[Tensor, Tensor, Tensor]:
        """Ask about one point of each image: is the model wrong, bool (N,), the losses (N,), their gradients."""
        inputs = points.clone().requires_grad_()
        with torch.enable_grad():
            logits = self.oracle(inputs, self.rows)
            losses = loss(logits, self.labels, self.targets)
            # Of the sum, so that no image's gradient depends on the others.
            (gradients,) = torch.autograd.grad(losses.sum(), inputs)
        return logits.detach().argmax(dim=1) != self.labels, losses.detach(), gradients


def cross_entropy(logits: Tensor, labels: Tensor, targets: Tensor) -> Tensor:
    """Return the cross-entropy of the labels."""
    return functional.cross_entropy(logits, labels, reduction="none")


def logit_difference(logits: Tensor, labels: Tensor, targets: Tensor) -> Tensor:
    """Return the logit of the target less that of the label."""
    return (logits.gather(1, targets[:, None]) - logits.gather(1, labels[:, None]))[:, 0]


def targeted_ratio(logits: Tensor, labels: Tensor, targets: Tensor) -> Tensor:
    """Return the targeted difference of logits ratio (DLR): Croce and Hein 2020, equation 7 of the appendix.

    The difference over the largest logit less the mean of the third and the fourth, so that it does not depend on the
    scale of the logits. Of fewer than four classes there is no fourth, and the difference alone is taken.
    """
    difference = logit_difference(logits, labels, targets)
    if logits.shape[1] < 4:
        return difference
    largest = logits.topk(4, dim=1).values
    return difference / (largest[:, 0] - (largest[:, 2] + largest[:, 3]) / 2 + 1e-12)

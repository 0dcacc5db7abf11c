"""The images of a white-box search that are still correctly classified, and its queries of them."""

from dataclasses import dataclass
from typing import Self

import torch
from torch import Tensor

from robustbench_pix.attacks.common.losses import Loss
from robustbench_pix.attacks.common.norms import Ball
from robustbench_pix.attacks.querying.oracle import Oracle


@dataclass(frozen=True)
class ActiveImages:
    """N images under attack by one search.

    Attributes:
        labels: the true classes, int64 (N,).
        targets: the target classes of targeted losses, int64 (N,).
        rows: the rows of these images in the attacked batch, for the query log, int64 (N,).
    """

    oracle: Oracle
    ball: Ball
    labels: Tensor
    targets: Tensor
    rows: Tensor

    def select(self, chosen: Tensor) -> Self:
        """Return some of them, bool (N,) or int64 (M,)."""
        labels, targets, rows = self.labels[chosen], self.targets[chosen], self.rows[chosen]
        return type(self)(self.oracle, self.ball.select(chosen), labels, targets, rows)

    def fooled(self, points: Tensor) -> Tensor:
        """Return whether one point of each image is misclassified, bool (N,); one query each."""
        with torch.no_grad():
            return self.oracle(points, self.rows).argmax(dim=1) != self.labels

    def uphill(self, points: Tensor, loss: Loss) -> tuple[Tensor, Tensor, Tensor]:
        """Return whether one point of each image is misclassified, bool (N,), its loss (N,) and the loss's gradient."""
        inputs = points.clone().requires_grad_()
        with torch.enable_grad():
            logits = self.oracle(inputs, self.rows)
            losses = loss(logits, self.labels, self.targets)
            # Of the sum, so that no image's gradient depends on the others.
            (gradients,) = torch.autograd.grad(losses.sum(), inputs)
        return logits.detach().argmax(dim=1) != self.labels, losses.detach(), gradients

"""Losses of attacks: functions of logits (N, classes) and classes (N,), one number an image."""

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional

Loss = Callable[[Tensor, Tensor, Tensor], Tensor]
"""Function of logits (N, classes), labels (N,) and target classes (N,), to be maximized, (N,)."""


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


def log_odds(scores: Tensor, labels: Tensor) -> Tensor:
    """Return log(p / (1 - p)) of the labels' probabilities p, (Q,), from logits (Q, classes).

    Unlike p it does not saturate where p rounds to 1 in float32.
    """
    own = scores.gather(1, labels[:, None])[:, 0]
    return own - scores.scatter(1, labels[:, None], -torch.inf).logsumexp(dim=1)


def margin(logits: Tensor, labels: Tensor) -> Tensor:
    """Return the logit of the label less the largest other one, (N,): negative where the model decides otherwise."""
    own = logits.gather(1, labels[:, None])[:, 0]
    return own - logits.scatter(1, labels[:, None], -torch.inf).amax(dim=1)

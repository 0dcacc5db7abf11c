"""Auto-PGD (APGD), gradient ascent with an adaptive step size: section 3 of Croce and Hein 2020, arXiv 2003.01690.

From the same start it takes the same steps as the authors' code, but each image leaves once it is fooled.
"""

from dataclasses import dataclass, fields
from typing import Self

import torch
from torch import Tensor

from robustbench_pix.attacks.common.losses import Loss
from robustbench_pix.attacks.common.norms import Ball, spread, steepest
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


FIRST_STEP = 2.0
"""Share of the radius."""

INERTIA = 0.75
"""The share of the gradient step; the rest repeats the last move."""

ENOUGH_RISES = 0.75
"""Share of the steps since the last check that must have raised the loss, or else the step size is halved."""

FIRST_CHECK, LAST_INTERVAL, SHORTENING = 0.22, 0.06, 0.03
"""Shares of all steps: before the first check, at least between two, and by which the interval shrinks each time."""


@dataclass
class APGDState:
    """The state of the images that are still active; every field has one entry an image."""

    places: Tensor
    points: Tensor
    before: Tensor
    gradients: Tensor
    losses: Tensor
    rises: Tensor
    step_sizes: Tensor
    best: Tensor
    best_gradients: Tensor
    best_losses: Tensor
    checked_losses: Tensor
    halved: Tensor

    def select(self, chosen: Tensor) -> Self:
        """Return the state of some of the images, bool (N,)."""
        return type(self)(*(getattr(self, field.name)[chosen] for field in fields(self)))


def ascend(active: ActiveImages, starts: Tensor, loss: Loss, steps: int) -> tuple[Tensor, Tensor]:
    """Return for each image its first adversarial point, else that of highest loss; and whether it fools, bool (N,).

    Args:
        starts: points of the balls, (N, C, H, W).
        steps: number of steps of an image that is not fooled, which costs one query more.
    """
    ended, fooled = starts.clone(), torch.zeros_like(active.labels, dtype=torch.bool)
    wrong, losses, gradients = active.uphill(starts, loss)
    state = APGDState(
        places=torch.arange(len(starts), device=starts.device),
        points=starts,
        before=starts,
        gradients=gradients,
        # The first loss is compared with 0, as by the authors' code.
        losses=torch.zeros_like(losses),
        rises=torch.zeros_like(losses),
        step_sizes=torch.full_like(losses, FIRST_STEP * active.ball.radius),
        best=starts,
        best_gradients=gradients,
        best_losses=losses,
        checked_losses=losses,
        halved=torch.ones_like(wrong),
    )
    interval = max(int(FIRST_CHECK * steps), 1)
    next_check = interval
    for step in range(1, steps + 1):
        ended[state.places], fooled[state.places] = state.points, wrong
        active, state = active.select(~wrong), state.select(~wrong)
        if len(state.places) == 0:
            return ended, fooled
        moved = _moved(active, state, INERTIA if step > 1 else 1.0)
        state.before, state.points = state.points, moved
        wrong, losses, state.gradients = active.uphill(moved, loss)
        state.rises += losses > state.losses
        state.losses = losses
        better = losses > state.best_losses
        state.best = torch.where(spread(better), moved, state.best)
        state.best_gradients = torch.where(spread(better), state.gradients, state.best_gradients)
        state.best_losses = torch.where(better, losses, state.best_losses)
        if step == next_check:
            _check(state, interval, wrong)
            interval = max(interval - max(int(SHORTENING * steps), 1), max(int(LAST_INTERVAL * steps), 1))
            next_check += interval
    ended[state.places] = torch.where(spread(wrong), state.points, state.best)
    fooled[state.places] = wrong
    return ended, fooled


def _moved(active: ActiveImages, state: APGDState, inertia: float) -> Tensor:
    """Return the next points: a step along the gradient, weighted with the last move, each projected onto the ball."""
    uphill = spread(state.step_sizes) * steepest(state.gradients, active.ball.norm)
    straight = active.ball.project(state.points + uphill)
    last = state.points - state.before
    return active.ball.project(state.points + inertia * (straight - state.points) + (1 - inertia) * last)


def _check(state: APGDState, interval: int, wrong: Tensor) -> None:
    """Halve the step size of images whose loss rose too rarely or has not improved with the same step: equation 4.

    These go on from their best point.
    """
    stuck = ~state.halved & (state.checked_losses >= state.best_losses)
    halved = (state.rises <= ENOUGH_RISES * interval) | stuck
    state.step_sizes = torch.where(halved, state.step_sizes / 2, state.step_sizes)
    back = halved & ~wrong
    state.points = torch.where(spread(back), state.best, state.points)
    state.gradients = torch.where(spread(back), state.best_gradients, state.gradients)
    state.halved, state.checked_losses = halved, state.best_losses
    state.rises = torch.zeros_like(state.rises)

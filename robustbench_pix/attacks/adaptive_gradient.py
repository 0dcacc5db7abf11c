"""Gradient ascent that finds its step size by itself (APGD): section 3 of Croce and Hein 2020, arXiv 2003.01690.

From the same start it walks as the authors' code does, step by step, but each image leaves once it is fooled.
"""

from dataclasses import dataclass, fields
from typing import Self

import torch
from torch import Tensor

from robustbench_pix.attacks.balls import steepest
from robustbench_pix.attacks.geometry import spread
from robustbench_pix.attacks.victims import Loss, Victims

FIRST_STEP = 2.0
"""As a share of the radius."""

INERTIA = 0.75
"""The share of the gradient step; the rest repeats the last move."""

ENOUGH_RISES = 0.75
"""Share of the steps since the last check that must have raised the loss, or else the step size is halved."""

FIRST_CHECK, LAST_INTERVAL, SHORTENING = 0.22, 0.06, 0.03
"""Shares of all steps: before the first check, at least between two, and by which the interval shrinks each time."""


@dataclass
class _Climb:
    """Where the images still climbing stand; every field has one entry for each of them."""

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

    def of(self, chosen: Tensor) -> Self:
        return type(self)(*(getattr(self, field.name)[chosen] for field in fields(self)))


def ascend(victims: Victims, starts: Tensor, loss: Loss, steps: int) -> tuple[Tensor, Tensor]:
    """Return for each of N images the first point that fools, else that of the highest loss; and who is fooled (N,).

    Args:
        starts: points of the balls, (N, C, H, W).
        steps: of an image that is not fooled; it is asked about once more.
    """
    ended, fooled = starts.clone(), torch.zeros_like(victims.labels, dtype=torch.bool)
    wrong, losses, gradients = victims.uphill(starts, loss)
    climb = _Climb(
        places=torch.arange(len(starts), device=starts.device),
        points=starts,
        before=starts,
        gradients=gradients,
        # The first loss is compared with 0, as by the authors' code.
        losses=torch.zeros_like(losses),
        rises=torch.zeros_like(losses),
        step_sizes=torch.full_like(losses, FIRST_STEP * victims.ball.radius),
        best=starts,
        best_gradients=gradients,
        best_losses=losses,
        checked_losses=losses,
        halved=torch.ones_like(wrong),
    )
    interval = max(int(FIRST_CHECK * steps), 1)
    next_check = interval
    for step in range(1, steps + 1):
        ended[climb.places], fooled[climb.places] = climb.points, wrong
        victims, climb = victims.of(~wrong), climb.of(~wrong)
        if len(climb.places) == 0:
            return ended, fooled
        moved = _moved(victims, climb, INERTIA if step > 1 else 1.0)
        climb.before, climb.points = climb.points, moved
        wrong, losses, climb.gradients = victims.uphill(moved, loss)
        climb.rises += losses > climb.losses
        climb.losses = losses
        better = losses > climb.best_losses
        climb.best = torch.where(spread(better), moved, climb.best)
        climb.best_gradients = torch.where(spread(better), climb.gradients, climb.best_gradients)
        climb.best_losses = torch.where(better, losses, climb.best_losses)
        if step == next_check:
            _check(climb, interval, wrong)
            interval = max(interval - max(int(SHORTENING * steps), 1), max(int(LAST_INTERVAL * steps), 1))
            next_check += interval
    ended[climb.places] = torch.where(spread(wrong), climb.points, climb.best)
    fooled[climb.places] = wrong
    return ended, fooled


def _moved(victims: Victims, climb: _Climb, inertia: float) -> Tensor:
    """Return where a step leads: along the gradient, weighted with the last move, each projected onto the ball."""
    uphill = spread(climb.step_sizes) * steepest(climb.gradients, victims.ball.norm)
    straight = victims.ball.project(climb.points + uphill)
    last = climb.points - climb.before
    return victims.ball.project(climb.points + inertia * (straight - climb.points) + (1 - inertia) * last)


def _check(climb: _Climb, interval: int, wrong: Tensor) -> None:
    """Halve the step of the images that rose too seldom, or that have not improved with the same step: equation 4.

    These go on from their best point.
    """
    stuck = ~climb.halved & (climb.checked_losses >= climb.best_losses)
    halved = (climb.rises <= ENOUGH_RISES * interval) | stuck
    climb.step_sizes = torch.where(halved, climb.step_sizes / 2, climb.step_sizes)
    back = halved & ~wrong
    climb.points = torch.where(spread(back), climb.best, climb.points)
    climb.gradients = torch.where(spread(back), climb.best_gradients, climb.gradients)
    climb.halved, climb.checked_losses = halved, climb.best_losses
    climb.rises = torch.zeros_like(climb.rises)

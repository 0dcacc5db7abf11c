"""Catastrophic overfitting: a network answers right under the one step that it was trained on, and under no other.

Wong, Rice, Kolter 2020 (arXiv 2001.03994) tell it by the accuracy under five steps on a batch of training images; so do
we, at the end of each epoch. Number of images and threshold are our choice.
"""

import logging

import torch

from robustbench_pix.recipes.perturbations import ascend, ball_around, loss_gradient, random_point
from robustbench_pix.recipes.tools import Tools

IMAGES = 128
"""The first of the training images, at most."""
STEPS = 5
STEP_SHARE = 0.25
"""Size of each of several steps, as a share of the radius."""
LARGEST_GAP = 0.2
"""Of accuracy under one step over that under several, below which nothing is said."""

logger = logging.getLogger(__name__)


def overfits(one: float, five: float) -> bool:
    """Return whether accuracies under one step and under five tell catastrophic overfitting.

    Five steps take away more than half of the accuracy, and more than ``LARGEST_GAP``: networks that still learn, or
    whose radius is large, lose some of it too.

    >>> overfits(0.9, 0.05), overfits(0.8, 0.55), overfits(0.2, 0.05)
    (True, False, False)
    """
    return one - five > LARGEST_GAP and five < one / 2


class OverfittingWatch:
    """Attacks a few training images, and says once where only the one step of training is withstood.

    Args:
        title: of the training.
        eps: radius of both attacks.
        step_size: of the one step of training.
    """

    def __init__(self, title: str, eps: float, step_size: float) -> None:
        self.title, self.eps, self.step_size, self.said = title, eps, step_size, False

    def look(self, tools: Tools, epoch: int) -> dict[str, float]:
        """Return ``one_step_accuracy`` and ``five_step_accuracy``, in [0, 1], from the same random points.

        Neither weights, statistics nor the random numbers of training change. Epochs are counted from 0.
        """
        images, labels = tools.as_input(tools.all_images["task"][:IMAGES]), tools.task_labels[:IMAGES]
        ball = ball_around(images, self.eps)
        start = random_point(ball, tools, "overfitting-start")

        def accuracy(steps: int, step_size: float) -> float:
            def gradient(points: torch.Tensor) -> torch.Tensor:
                return loss_gradient(tools, points, labels)

            points = ascend(ball, start, gradient, steps=steps, step_size=step_size)
            with torch.no_grad():
                return float((tools.logits(points).argmax(dim=1) == labels).double().mean())

        one, five = accuracy(1, self.step_size), accuracy(STEPS, STEP_SHARE * self.eps)
        if overfits(one, five) and not self.said:
            self.said = True
            logger.warning(
                "Catastrophic overfitting of %s in epoch %d: %.0f%% of training images are answered right under the "
                "one step of training, %.0f%% under %d smaller ones; a smaller eps or gradient alignment may avoid it.",
                self.title, epoch + 1, 100 * one, 100 * five, STEPS,
            )  # fmt: skip
        return {"one_step_accuracy": one, "five_step_accuracy": five}

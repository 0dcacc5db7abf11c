"""Perturbations of training images: sign steps that raise an objective within an L-infinity ball and [0, 1].

They are made in eval mode, so that statistics of BatchNorm do not move.
"""

from collections.abc import Callable
from typing import Any

from torch import Tensor
from torch.nn import functional

from robustbench_pix.attacks.common.norms import Ball
from robustbench_pix.recipes.parameters import require_number
from robustbench_pix.recipes.tools import Tools

EPS = 8 / 255
STEPS = 10
STEP_SIZE = 0.007
"""Of CIFAR-10, as in the public code of TRADES."""


def check_perturbation(parameters: dict[str, Any]) -> None:
    """Refuse a radius ``eps`` or a ``step_size`` outside [0, 1], or fewer than one of the ``steps``.

    Raises:
        UserError: a parameter is out of its range.
    """
    require_number("eps", parameters.get("eps", EPS), least=0, most=1)
    require_number("steps", parameters.get("steps", STEPS), least=1, whole=True)
    require_number("step_size", parameters.get("step_size", STEP_SIZE), least=0, most=1)


def ball_around(images: Tensor, eps: float) -> Ball:
    """Return the L-infinity balls of radius ``eps`` around images, (N, C, H, W)."""
    return Ball(images, eps, "linf")


def random_point(ball: Ball, tools: Tools, purpose: str) -> Tensor:
    """Return a uniform point of each ball, clamped to [0, 1]."""
    return ball.project(ball.images + ball.radius * (2 * tools.uniform(tuple(ball.images.shape), purpose) - 1))


def ascend(ball: Ball, start: Tensor, gradient: Callable[[Tensor], Tensor], *, steps: int, step_size: float) -> Tensor:
    """Return the points, (N, C, H, W), after steps along the sign of a gradient, each projected onto the balls."""
    points = start
    for _ in range(steps):
        points = ball.project(points + step_size * gradient(points).sign())
    return points


def loss_gradient(tools: Tools, images: Tensor, labels: Tensor) -> Tensor:
    """Return the derivative of each image's cross-entropy by the image, (N, C, H, W)."""
    return tools.gradient(images, lambda logits: functional.cross_entropy(logits, labels, reduction="sum"))

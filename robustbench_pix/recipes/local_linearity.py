"""The recipe ``local-linearity``: a loss that is nearly linear around every image.

LLR (Qin et al. 2019, arXiv 1907.02610), in the weights of its public configuration.
"""

from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from robustbench_pix.recipes.contract import Batch, Recipe, RecipeContext, Step
from robustbench_pix.recipes.parameters import require_number
from robustbench_pix.recipes.perturbations import (
    EPS,
    STEP_SIZE,
    STEPS,
    ascend,
    ball_around,
    check_perturbation,
    loss_gradient,
    random_point,
)
from robustbench_pix.recipes.tools import Tools


class LocalLinearity(Recipe):
    """The mean over images of |l(x + d) - l(x) - d . grad l(x)| + ``slope`` |d . grad l(x)|.

    d raises the first term: ``steps`` of ``step_size`` within ``eps``. BatchNorm normalizes x and x + d apart. The
    paper states the weights of both terms, 4 and 0.3: here ``alpha`` and ``alpha`` times ``slope``.
    """

    double_backward = True

    def __init__(
        self,
        context: RecipeContext,
        *,
        slope: float = 0.075,
        eps: float = EPS,
        steps: int = STEPS,
        step_size: float = STEP_SIZE,
    ) -> None:
        super().__init__(context)
        self.slope, self.eps, self.steps, self.step_size = slope, eps, steps, step_size

    @classmethod
    def check(cls, parameters: dict[str, Any], folder: Path | None, images: int) -> str | None:
        """Refuse a negative ``slope``, or parameters of the ascent out of range."""
        require_number("slope", parameters.get("slope", 0.075), least=0)
        check_perturbation(parameters)
        return None

    def batch(self, batch: Batch, tools: Tools) -> Batch:
        """Return x and x + d; without the penalty x alone."""
        if not self.penalizes:
            return batch
        ball, labels = ball_around(batch.images, self.eps), batch.targets
        with torch.no_grad():
            losses = _losses(tools.logits(batch.images), labels)
        slopes = loss_gradient(tools, batch.images, labels)

        def gradient(points: Tensor) -> Tensor:
            points = points.detach().requires_grad_()
            gap = _losses(tools.logits(points), labels) - losses - _along(slopes, points - batch.images)
            return torch.autograd.grad(gap.abs().sum(), points)[0]

        start = random_point(ball, tools, "local-linearity-start")
        moved = ascend(ball, start, gradient, steps=self.steps, step_size=self.step_size)
        return batch._replace(images=torch.cat([batch.images, moved]), views=2)

    def loss(self, step: Step) -> Tensor:
        """Return the cross-entropy at x."""
        return functional.cross_entropy(step.logits.chunk(step.views)[0], step.targets)

    def penalty(self, step: Step) -> Tensor:
        """Return both terms at the d of this step."""
        here, there = (_losses(logits, step.targets) for logits in step.logits.chunk(2))
        (gradient,) = torch.autograd.grad(here.sum(), step.images, create_graph=True)
        images, moved = step.images.detach().chunk(2)
        linear = _along(gradient.chunk(2)[0], moved - images)
        return ((there - here - linear).abs() + self.slope * linear.abs()).mean()


def _losses(logits: Tensor, labels: Tensor) -> Tensor:
    return functional.cross_entropy(logits, labels, reduction="none")


def _along(gradients: Tensor, moved: Tensor) -> Tensor:
    return (gradients * moved).flatten(1).sum(dim=1)

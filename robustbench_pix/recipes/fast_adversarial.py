"""The recipe ``fast-adversarial``: one sign step from a random start (Wong, Rice, Kolter 2020, arXiv 2001.03994).

Optionally with gradient alignment (Andriushchenko and Flammarion 2020, arXiv 2007.02617), which keeps the network from
being linear at the training images alone, where one step misleads. The log tells catastrophic overfitting.
"""

from pathlib import Path
from typing import Any, ClassVar

import torch
from torch import Tensor
from torch.nn import functional

from robustbench_pix.recipes.contract import Batch, Recipe, RecipeContext, Step
from robustbench_pix.recipes.overfitting import OverfittingWatch
from robustbench_pix.recipes.parameters import require_number
from robustbench_pix.recipes.perturbations import (
    EPS,
    ascend,
    ball_around,
    check_perturbation,
    loss_gradient,
    random_point,
)
from robustbench_pix.recipes.tools import Tools

STEP_SIZE = 1.25 * EPS


class FastAdversarial(Recipe):
    """Train on one step of ``step_size`` within ``eps``; ``alignment`` is the weight of the gradients' angle."""

    trained_on: ClassVar[tuple[str, ...]] = ("projected-gradient", "fast-gradient-sign")

    def __init__(
        self, context: RecipeContext, *, eps: float = EPS, step_size: float = STEP_SIZE, alignment: float = 0.0
    ) -> None:
        super().__init__(context)
        self.eps, self.step_size, self.alignment = eps, step_size, alignment
        self.double_backward = alignment > 0
        self.watch = OverfittingWatch(f"fast-adversarial on {context.task}, seed {context.seed},", eps, step_size)
        self.epoch = 0
        self.tools: Tools | None = None

    @classmethod
    def check(cls, parameters: dict[str, Any], folder: Path | None, images: int) -> str | None:
        """Refuse parameters of the step out of range, or a negative weight."""
        check_perturbation(parameters)
        require_number("alignment", parameters.get("alignment", 0.0), least=0)
        return None

    def begin(self, epoch: int, tools: Tools) -> None:
        """Keep the tools, with which the report attacks a few training images."""
        self.tools, self.epoch = tools, epoch

    def batch(self, batch: Batch, tools: Tools) -> Batch:
        """Return the perturbed images; with alignment also the images, and random points around them."""
        ball = ball_around(batch.images, self.eps)
        start = random_point(ball, tools, "fast-adversarial-start")
        images = ascend(
            ball,
            start,
            lambda points: loss_gradient(tools, points, batch.targets),
            steps=1,
            step_size=self.step_size,
        )
        if not self.alignment:
            return batch._replace(images=images)
        around = random_point(ball, tools, "gradient-alignment")
        return batch._replace(images=torch.cat([images, batch.images, around]), views=3)

    def loss(self, step: Step) -> Tensor:
        """Return the cross-entropy of the perturbed images, plus the weighted misalignment of the gradients."""
        perturbed, *others = step.logits.chunk(step.views)
        loss = functional.cross_entropy(perturbed, step.targets)
        return loss + self.alignment * misalignment(torch.cat(others), step) if others else loss

    def report(self) -> dict[str, float]:
        """Return what tells catastrophic overfitting: accuracies under one step and under five."""
        return self.watch.look(self.tools, self.epoch) if self.tools else {}


def misalignment(logits: Tensor, step: Step) -> Tensor:
    """Return the mean of 1 - cos of the derivatives of the cross-entropy by the last two views of a step."""
    loss = functional.cross_entropy(logits, step.targets.repeat(2), reduction="sum")
    (gradient,) = torch.autograd.grad(loss, step.images, create_graph=True)
    _, first, second = gradient.flatten(1).chunk(step.views)
    return 1 - functional.cosine_similarity(first, second).mean()

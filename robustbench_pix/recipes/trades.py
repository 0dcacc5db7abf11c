"""The recipes ``trades`` (Zhang et al. 2019, arXiv 1901.08573) and ``gaussian-trades``, its control."""

from pathlib import Path
from typing import Any, ClassVar

import torch
from torch import Tensor
from torch.nn import functional

from robustbench_pix.recipes.contract import Batch, Recipe, RecipeContext, Step
from robustbench_pix.recipes.parameters import require_number
from robustbench_pix.recipes.perturbations import EPS, STEP_SIZE, STEPS, ascend, ball_around, check_perturbation
from robustbench_pix.recipes.tools import Tools

START_DEVIATION = 0.001


class Trades(Recipe):
    """Cross-entropy on the image, plus ``beta`` times the divergence of the answer to a perturbed one from its answer.

    The perturbation raises this divergence: ``steps`` of ``step_size`` within ``eps``, from a little noise. BatchNorm
    normalizes images and perturbed images apart.
    """

    trained_on: ClassVar[tuple[str, ...]] = ("projected-gradient", "fast-gradient-sign")

    def __init__(
        self,
        context: RecipeContext,
        *,
        beta: float = 6.0,
        eps: float = EPS,
        steps: int = STEPS,
        step_size: float = STEP_SIZE,
    ) -> None:
        super().__init__(context)
        self.beta, self.eps, self.steps, self.step_size = beta, eps, steps, step_size

    @classmethod
    def check(cls, parameters: dict[str, Any], folder: Path | None, images: int) -> str | None:
        """Refuse a negative ``beta``, or parameters of the ascent out of range."""
        require_number("beta", parameters.get("beta", 6.0), least=0)
        check_perturbation(parameters)
        return None

    def batch(self, batch: Batch, tools: Tools) -> Batch:
        """Return the images and the perturbed images; without ``beta`` the images alone."""
        if not self.beta:
            return batch
        return batch._replace(images=torch.cat([batch.images, self.perturbed(batch.images, tools)]), views=2)

    def loss(self, step: Step) -> Tensor:
        """Return the cross-entropy of the images plus ``beta`` times the divergence."""
        logits, *others = step.logits.chunk(step.views)
        loss = functional.cross_entropy(logits, step.targets)
        return loss + self.beta * divergence(logits, others[0]) / len(logits) if others else loss

    def perturbed(self, images: Tensor, tools: Tools) -> Tensor:
        """Return the images where the ascent of the divergence ends."""
        ball = ball_around(images, self.eps)
        with torch.no_grad():
            answers = tools.logits(images)
        start = ball.project(images + START_DEVIATION * tools.normal(tuple(images.shape), "trades-start"))

        def gradient(points: Tensor) -> Tensor:
            return tools.gradient(points, lambda logits: divergence(answers, logits))

        return ascend(ball, start, gradient, steps=self.steps, step_size=self.step_size)


class GaussianTrades(Trades):
    """The same with Gaussian noise of standard deviation ``eps`` in place of the ascent."""

    trained_on: ClassVar[tuple[str, ...]] = ("gaussian-noise",)

    def perturbed(self, images: Tensor, tools: Tools) -> Tensor:
        """Return the images under noise, clamped to [0, 1]."""
        return (images + self.eps * tools.normal(tuple(images.shape), "gaussian-trades")).clamp(0, 1)


def divergence(logits: Tensor, others: Tensor) -> Tensor:
    """Return the sum over images of KL(softmax(logits) || softmax(others)), both (N, classes)."""
    return functional.kl_div(others.log_softmax(dim=1), logits.softmax(dim=1), reduction="sum")

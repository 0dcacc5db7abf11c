"""The recipes ``adversarial`` (Madry et al. 2018, arXiv 1706.06083) and ``random-signs``, its control.

Model selection takes the epoch of the lowest clean validation loss, as for every recipe; the paper takes the last.
"""

from pathlib import Path
from typing import Any, ClassVar

import torch

from robustbench_pix.recipes.contract import Batch, Recipe, RecipeContext
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


class Adversarial(Recipe):
    """Train on projected gradient ascent alone: ``steps`` of ``step_size`` within ``eps`` from a random start."""

    trained_on: ClassVar[tuple[str, ...]] = ("projected-gradient", "fast-gradient-sign")

    def __init__(
        self, context: RecipeContext, *, eps: float = EPS, steps: int = STEPS, step_size: float = STEP_SIZE
    ) -> None:
        super().__init__(context)
        self.eps, self.steps, self.step_size = eps, steps, step_size

    @classmethod
    def check(cls, parameters: dict[str, Any], folder: Path | None, images: int) -> str | None:
        """Refuse parameters of the ascent out of range."""
        check_perturbation(parameters)
        return None

    def batch(self, batch: Batch, tools: Tools) -> Batch:
        """Return the images where the ascent of the cross-entropy ends."""
        ball = ball_around(batch.images, self.eps)
        images = ascend(
            ball,
            random_point(ball, tools, "adversarial-start"),
            lambda points: loss_gradient(tools, points, batch.targets),
            steps=self.steps,
            step_size=self.step_size,
        )
        return batch._replace(images=images)


class RandomSigns(Adversarial):
    """Train on the perturbations of ``adversarial``, each entry with a random sign: their size without direction."""

    trained_on: ClassVar[tuple[str, ...]] = ()

    def batch(self, batch: Batch, tools: Tools) -> Batch:
        """Return the images under the perturbations of random signs, clamped to [0, 1]."""
        sizes = (super().batch(batch, tools).images - batch.images).abs()
        minus = tools.uniform(tuple(sizes.shape), "random-signs") < 0.5
        return batch._replace(images=(batch.images + torch.where(minus, -sizes, sizes)).clamp(0, 1))

"""The recipe ``curvature``: a derivative of the loss that changes little along its own sign.

CURE (Moosavi-Dezfooli et al. 2019, arXiv 1811.09716).
"""

from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from robustbench_pix.recipes.contract import Batch, Recipe, RecipeContext, Step
from robustbench_pix.recipes.parameters import require_number
from robustbench_pix.recipes.perturbations import loss_gradient
from robustbench_pix.recipes.tools import Tools


class Curvature(Recipe):
    """The mean over images of ||grad l(x + h z) - grad l(x)||^2, with z the sign of the gradient at unit L2 norm.

    ``h`` is an L2 distance between images. BatchNorm normalizes the images x and x + h z apart.
    """

    double_backward = True

    def __init__(self, context: RecipeContext, *, h: float = 1.5) -> None:
        super().__init__(context)
        self.h = h

    @classmethod
    def check(cls, parameters: dict[str, Any], folder: Path | None, images: int) -> str | None:
        """Refuse a distance that is not positive."""
        require_number("h", parameters.get("h", 1.5), least=1e-6, most=1000)
        return None

    def batch(self, batch: Batch, tools: Tools) -> Batch:
        """Return x and x + h z; without the penalty x alone."""
        if not self.penalizes:
            return batch
        directions = functional.normalize(loss_gradient(tools, batch.images, batch.targets).sign().flatten(1))
        moved = batch.images + self.h * directions.view_as(batch.images)
        return batch._replace(images=torch.cat([batch.images, moved]), views=2)

    def loss(self, step: Step) -> Tensor:
        """Return the cross-entropy at x."""
        return functional.cross_entropy(step.logits.chunk(step.views)[0], step.targets)

    def penalty(self, step: Step) -> Tensor:
        """Return (1 / B) sum_i ||grad l_i(x_i + h z_i) - grad l_i(x_i)||^2."""
        loss = functional.cross_entropy(step.logits, step.targets.repeat(2), reduction="sum")
        (gradient,) = torch.autograd.grad(loss, step.images, create_graph=True)
        here, there = gradient.chunk(2)
        return (there - here).square().sum() / len(step.targets)

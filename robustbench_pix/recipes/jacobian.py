"""The recipe ``jacobian``: a small derivative of the logits by the image (Hoffman et al. 2019, arXiv 1908.02729)."""

from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from robustbench_pix.recipes.contract import Batch, Recipe, RecipeContext, Step
from robustbench_pix.recipes.parameters import require_number
from robustbench_pix.recipes.tools import Tools


class Jacobian(Recipe):
    """Half of the mean over images of the squared Frobenius norm of the Jacobian, by random projections.

    The expectation of the penalty is (1 / 2 B) sum_i ||J_i||_F^2, with p ``projections`` of the logits on uniform
    directions. Like that of ``input-gradient``, the derivative is of the training step's own forward pass.
    """

    double_backward = True

    def __init__(self, context: RecipeContext, *, projections: int = 1) -> None:
        super().__init__(context)
        self.projections, self.classes = projections, context.classes
        self.directions = torch.zeros(0)

    @classmethod
    def check(cls, parameters: dict[str, Any], folder: Path | None, images: int) -> str | None:
        """Refuse fewer than one projection."""
        require_number("projections", parameters.get("projections", 1), least=1, whole=True)
        return None

    def batch(self, batch: Batch, tools: Tools) -> Batch:
        """Return the batch as it is; draw the directions of this step, (p, B, classes)."""
        normal = tools.normal((self.projections, len(batch.images), self.classes), "jacobian")
        self.directions = functional.normalize(normal, dim=2)
        return batch

    def penalty(self, step: Step) -> Tensor:
        """Return (K / 2 p B) sum over projections and images of ||d (v . z) / dx||^2, with K classes."""
        total = torch.zeros_like(step.logits[0, 0])
        for direction in self.directions:
            (gradient,) = torch.autograd.grad((direction * step.logits).sum(), step.images, create_graph=True)
            total = total + gradient.square().sum()
        return total * self.classes / (2 * self.projections * len(step.targets))

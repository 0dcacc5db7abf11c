"""The recipe ``spectral``: variances of features that fall as a power of their rank.

Nassar et al. 2020 (arXiv 2012.04227); Gerum et al. 2022. Both penalties as their public code computes them, of the last
tapped layer's mean over positions. The principal axes are those of the whole training set, computed before each epoch:
eigenvalues of a batch fall too steeply, variances along fixed axes do not. With BatchNorm and ReLU this is a transfer
of the methods, whose authors trained tanh networks without BatchNorm.
"""

from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from robustbench_pix.recipes.contract import Recipe, RecipeContext, Step
from robustbench_pix.recipes.parameters import require_choice, require_number
from robustbench_pix.recipes.tools import Tools

GERUM_RANKS = 10
WIDE = 64
SKIPPED_RANKS_OF_WIDE, SKIPPED_RANKS_OF_NARROW = 10, 4
LEAST_SHARE = 1e-8


def gerum_penalty(variances: Tensor, exponent: float) -> Tensor:
    """Return the weighted squared distance of log10 variances from a line of slope ``-exponent``, ranks 1 to 10.

    Args:
        variances: (D,), the largest first.
    """
    count = min(GERUM_RANKS, len(variances))
    share = torch.relu(variances / variances.sum()) + LEAST_SHARE
    rank = torch.arange(1, count + 1, device=variances.device, dtype=variances.dtype)
    height, place = share[:count].log10(), rank.log10()
    weight = ((rank + 1) / rank).log10()
    offset = (weight * (height + exponent * place)).sum() / weight.sum()
    return (weight * (offset - exponent * place - height).square()).sum() / weight.sum()


def nassar_penalty(variances: Tensor, exponent: float) -> Tensor:
    """Return the distance of variances from a power of their rank beyond the first few, over their number.

    Args:
        variances: (D,), the largest first.
    """
    skipped = SKIPPED_RANKS_OF_WIDE if len(variances) >= WIDE else SKIPPED_RANKS_OF_NARROW
    rank = torch.arange(1, len(variances) + 1, device=variances.device, dtype=variances.dtype)
    scale = (variances[skipped] * (skipped + 1) ** exponent).detach()
    relative = variances[skipped:] / (scale * rank[skipped:] ** -exponent) - 1
    counted = torch.where(variances[skipped:] > 0, relative.square() + torch.relu(relative), 0.0)
    return counted.sum() / len(variances)


FORMS = {"gerum": gerum_penalty, "nassar": nassar_penalty}


class Spectral(Recipe):
    """Let the variances of the features fall as rank to the power of ``-exponent``; ``form`` names the penalty."""

    task_features = True

    def __init__(self, context: RecipeContext, *, form: str = "gerum", exponent: float = 1.0) -> None:
        super().__init__(context)
        self.penalty_of_variances, self.exponent = FORMS[form], exponent
        width = context.feature_shapes[-1][0]
        self.register_buffer("axes", torch.eye(width))

    @classmethod
    def check(cls, parameters: dict[str, Any], folder: Path | None, images: int) -> str | None:
        """Refuse an unknown form, or an exponent below 0."""
        require_choice("form", parameters.get("form", "gerum"), tuple(FORMS))
        require_number("exponent", parameters.get("exponent", 1.0), least=0, most=10)
        return None

    def begin(self, epoch: int, tools: Tools) -> None:
        """Compute the principal axes of the features of all training images."""
        pooled = torch.cat([maps[-1].double().mean(dim=(2, 3)) for maps in tools.features("task")])
        _, vectors = torch.linalg.eigh(torch.cov(pooled.T.cpu()))
        axes = self.get_buffer("axes")
        axes.copy_(vectors.flip(1).to(axes))

    def penalty(self, step: Step) -> Tensor:
        """Return the penalty of the variances along the principal axes, the largest first."""
        pooled = step.features[-1].mean(dim=(2, 3))
        variances = (pooled @ self.get_buffer("axes").to(pooled.dtype)).var(dim=0)
        return self.penalty_of_variances(variances.sort(descending=True).values, self.exponent)

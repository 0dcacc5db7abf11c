"""The recipe ``label-smoothing`` (Szegedy et al. 2016, arXiv 1512.00567, section 7)."""

from pathlib import Path
from typing import Any

from torch import Tensor
from torch.nn import functional

from robustbench_pix.recipes.contract import Recipe, RecipeContext, Step
from robustbench_pix.recipes.parameters import require_number


class LabelSmoothing(Recipe):
    """Cross-entropy with a target of 1 - ``smoothing``, and ``smoothing`` spread evenly over all classes."""

    def __init__(self, context: RecipeContext, *, smoothing: float = 0.1) -> None:
        super().__init__(context)
        self.smoothing = smoothing

    @classmethod
    def check(cls, parameters: dict[str, Any], folder: Path | None, images: int) -> str | None:
        """Refuse a share outside [0, 1]."""
        require_number("smoothing", parameters.get("smoothing", 0.1), least=0, most=1)
        return None

    def loss(self, step: Step) -> Tensor:
        """Return the cross-entropy with the smoothed targets."""
        return functional.cross_entropy(step.logits, step.targets, label_smoothing=self.smoothing)

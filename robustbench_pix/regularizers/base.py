"""Regularizers: recipes that add a penalty on the features of pairs of images, and nothing else."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from torch import Tensor

from robustbench_pix.data.preparation import RegularizationData
from robustbench_pix.recipes.contract import Recipe, RecipeContext, Step

DEFAULT_PAIRS = 16


class Regularizer(Recipe):
    """Base class: a recipe whose penalty is ``forward``."""

    pairs: int = DEFAULT_PAIRS

    @classmethod
    def lacking(cls, parameters: dict[str, Any], data: RegularizationData) -> str | None:
        """Return what a recipe with these parameters needs and the regularization data lack, or None."""
        return None

    @classmethod
    def content(cls, parameters: dict[str, Any], folder: Path | None, data: RegularizationData) -> str | None:
        """Check all that is used beside the images before anything is trained; return a digest of it, or None."""
        return cls.check(parameters, folder, len(data.images))

    def penalty(self, step: Step) -> Tensor:
        """Return the penalty, a scalar."""
        penalty: Tensor = self(step)
        return penalty


class FunctionRegularizer(Regularizer):
    """A plain function ``penalty(step, **parameters) -> scalar`` as a regularizer."""

    def __init__(
        self, context: RecipeContext, *, penalty: Callable[..., Tensor], pairs: int, **parameters: Any
    ) -> None:
        super().__init__(context)
        self.pairs, self.function, self.parameters_of_function = pairs, penalty, parameters

    def forward(self, step: Step) -> Tensor:
        """Return the function's value."""
        return self.function(step, **self.parameters_of_function)

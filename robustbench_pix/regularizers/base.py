"""Regularizers: recipes that add a penalty on the features of pairs of images, and nothing else."""

from collections.abc import Callable
from typing import Any

from torch import Tensor

from robustbench_pix.recipes.contract import Recipe, RecipeContext, Step

DEFAULT_PAIRS = 16


class Regularizer(Recipe):
    """Base class: a recipe whose penalty is ``forward``."""

    pairs: int = DEFAULT_PAIRS

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

"""The recipe ``noise-trained``: training images under Gaussian noise (Rusak et al. 2020, arXiv 2001.06057)."""

from pathlib import Path
from typing import Any, ClassVar

from robustbench_pix.recipes.contract import Batch, Recipe, RecipeContext
from robustbench_pix.recipes.parameters import require_number
from robustbench_pix.recipes.tools import Tools


class NoiseTrained(Recipe):
    """Add Gaussian noise of a standard deviation that is uniform in [0, ``sigma``] for each image, and clamp to [0, 1].

    A ceiling for the attack with Gaussian noise, not a competitor.
    """

    trained_on: ClassVar[tuple[str, ...]] = ("gaussian-noise",)

    def __init__(self, context: RecipeContext, *, sigma: float = 0.25) -> None:
        super().__init__(context)
        self.sigma = sigma

    @classmethod
    def check(cls, parameters: dict[str, Any], folder: Path | None, images: int) -> str | None:
        """Refuse a standard deviation below 0."""
        require_number("sigma", parameters.get("sigma", 0.25), least=0, most=10)
        return None

    def batch(self, batch: Batch, tools: Tools) -> Batch:
        """Return the images under noise."""
        levels = self.sigma * tools.uniform((len(batch.images), 1, 1, 1), "noise-level")
        noise = tools.normal(tuple(batch.images.shape), "noise")
        return batch._replace(images=(batch.images + levels * noise).clamp(0, 1))

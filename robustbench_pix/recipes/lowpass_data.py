"""The recipe ``lowpass-data``: blurred training images and sharp test images, a control of ``blur``; ours.

``blur`` filters test images too; this separates the filter from what the network learned of low frequencies.
"""

from pathlib import Path
from typing import Any

from robustbench_pix.recipes.blur import Blur, gaussian_blur, gaussian_kernel
from robustbench_pix.recipes.contract import Batch, Recipe, RecipeContext
from robustbench_pix.recipes.tools import Tools


class LowPassData(Recipe):
    """Train on images under the Gaussian blur of the recipe ``blur``; ``sigma`` is in pixels."""

    def __init__(self, context: RecipeContext, *, sigma: float = 1.5) -> None:
        super().__init__(context)
        self.register_buffer("kernel", gaussian_kernel(sigma))

    @classmethod
    def check(cls, parameters: dict[str, Any], folder: Path | None, images: int) -> str | None:
        """Refuse a width that is not positive."""
        return Blur.check(parameters, folder, images)

    def batch(self, batch: Batch, tools: Tools) -> Batch:
        """Return the images blurred."""
        return batch._replace(images=gaussian_blur(batch.images, self.get_buffer("kernel")))

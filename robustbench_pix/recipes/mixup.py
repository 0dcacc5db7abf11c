"""The recipe ``mixup``: convex combinations of images and of their labels (Zhang et al. 2018, arXiv 1710.09412)."""

from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from robustbench_pix.randomness import stream
from robustbench_pix.recipes.contract import Batch, Recipe, RecipeContext
from robustbench_pix.recipes.parameters import require_number
from robustbench_pix.recipes.tools import Tools


class Mixup(Recipe):
    """Mix every image with the one before it in the batch, and their one-hot labels, both with the same share.

    The order of a batch is random, so the other image is too. A batch has one share, from Beta(c, c) with c the
    ``concentration``: small ones leave images nearly as they are.
    """

    def __init__(self, context: RecipeContext, *, concentration: float = 1.0) -> None:
        super().__init__(context)
        self.concentration, self.seed, self.classes = concentration, context.seed, context.classes
        self.register_buffer("shares", torch.ones(context.steps_per_epoch))

    @classmethod
    def check(cls, parameters: dict[str, Any], folder: Path | None, images: int) -> str | None:
        """Refuse a concentration that is not positive."""
        require_number("concentration", parameters.get("concentration", 1.0), least=0.001, most=1000)
        return None

    def begin(self, epoch: int, tools: Tools) -> None:
        """Draw the share of every step."""
        shares = self.get_buffer("shares")
        drawn = stream("mixup", self.seed, epoch).beta(self.concentration, self.concentration, len(shares))
        shares.copy_(torch.from_numpy(drawn))

    def batch(self, batch: Batch, tools: Tools) -> Batch:
        """Return the mixtures, with probabilities as targets."""
        shares = self.get_buffer("shares")
        share = shares[tools.steps_taken % len(shares)].to(batch.images.dtype).squeeze()
        labels = functional.one_hot(batch.targets, self.classes).to(batch.images.dtype)
        return batch._replace(images=mixed(batch.images, share), targets=mixed(labels, share))


def mixed(values: Tensor, share: Tensor) -> Tensor:
    """Return ``share`` of each of N values, (N, ...), and the rest of the one before it; the share is a scalar."""
    return share * values + (1 - share) * values.roll(1, dims=0)

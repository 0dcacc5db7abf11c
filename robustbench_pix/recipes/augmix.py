"""The recipe ``augmix``: mixtures of random chains of operations, and answers that agree on them.

Hendrycks et al. 2020 (arXiv 1912.02781): three chains of one to three operations are mixed with Dirichlet weights, and
the mixture with the image. The loss adds the Jensen-Shannon divergence between the image and two such mixtures.
"""

from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from robustbench_pix.recipes.augmix_operations import OPERATIONS, transformed
from robustbench_pix.recipes.contract import Batch, Recipe, RecipeContext, Step
from robustbench_pix.recipes.parameters import require_number
from robustbench_pix.recipes.tools import Tools

CHAINS, LONGEST_CHAIN = 3, 3
LARGEST_SEVERITY, LEAST_LEVEL = 10.0, 0.1
LEAST_PROBABILITY = 1e-7


class AugMix(Recipe):
    """Cross-entropy on the image plus ``divergence`` times the divergence of the answers to image and two mixtures.

    Operations have strengths up to ``severity`` tenths of their largest; at 0 a mixture is the image. With
    ``divergence`` 0 the network is trained on one mixture of each image instead.
    """

    def __init__(self, context: RecipeContext, *, severity: float = 3.0, divergence: float = 12.0) -> None:
        super().__init__(context)
        self.severity, self.divergence = severity, divergence

    @classmethod
    def check(cls, parameters: dict[str, Any], folder: Path | None, images: int) -> str | None:
        """Refuse a severity beyond 10, or a negative weight."""
        require_number("severity", parameters.get("severity", 3.0), least=0, most=LARGEST_SEVERITY)
        require_number("divergence", parameters.get("divergence", 12.0), least=0)
        return None

    def batch(self, batch: Batch, tools: Tools) -> Batch:
        """Return the image and two mixtures, normalized together; without the divergence one mixture."""
        if not self.divergence:
            return batch._replace(images=mixtures(batch.images, self.severity, tools, "first"))
        others = [mixtures(batch.images, self.severity, tools, name) for name in ("first", "second")]
        return batch._replace(images=torch.cat([batch.images, *others]), views=3, joint=True)

    def loss(self, step: Step) -> Tensor:
        """Return the cross-entropy of the first view, plus the weighted divergence of all."""
        first, *others = step.logits.chunk(step.views)
        loss = functional.cross_entropy(first, step.targets)
        return loss + self.divergence * jensen_shannon([first, *others]) if others else loss


def mixtures(images: Tensor, severity: float, tools: Tools, name: str) -> Tensor:
    """Return one mixture of each image, (N, C, H, W)."""
    if not severity:
        return images
    count = len(images)

    def uniform(what: str, *shape: int) -> Tensor:
        return tools.uniform((*shape, count), f"augmix-{name}-{what}").to(images.dtype)

    chained = images.repeat(CHAINS, 1, 1, 1)
    lengths = (LONGEST_CHAIN * uniform("length", CHAINS)).long().flatten()
    operations = (OPERATIONS * uniform("operation", LONGEST_CHAIN, CHAINS)).long().flatten(1)
    least = min(LEAST_LEVEL, severity)
    strengths = (least + (severity - least) * uniform("strength", LONGEST_CHAIN, CHAINS).flatten(1)) / LARGEST_SEVERITY
    signs = 1 - 2 * (uniform("sign", LONGEST_CHAIN, CHAINS) < 0.5).to(images.dtype).flatten(1)
    for place in range(LONGEST_CHAIN):
        longer = transformed(chained, operations[place], strengths[place], signs[place])
        chained = torch.where((lengths >= place).view(-1, 1, 1, 1), longer, chained)
    weights = dirichlet(uniform("weight", CHAINS)).view(CHAINS, count, 1, 1, 1)
    mixed = (weights * chained.view(CHAINS, *images.shape)).sum(dim=0)
    return images.lerp(mixed, uniform("share").view(count, 1, 1, 1))


def dirichlet(uniforms: Tensor) -> Tensor:
    """Return weights of Dirichlet(1, ..., 1), which sum to 1 over the first dimension, from uniforms in [0, 1)."""
    exponential = -torch.log1p(-uniforms)
    return exponential / exponential.sum(dim=0)


def jensen_shannon(logits: list[Tensor]) -> Tensor:
    """Return the mean over N images of the Jensen-Shannon divergence of several answers, each (N, classes)."""
    middle = torch.stack([answer.softmax(dim=1) for answer in logits]).mean(dim=0).clamp(min=LEAST_PROBABILITY).log()
    parts = [functional.kl_div(middle, answer.softmax(dim=1), reduction="batchmean") for answer in logits]
    return torch.stack(parts).mean()

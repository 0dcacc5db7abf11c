"""Natural evolution strategies: descend a gradient that is estimated from scores at random points around.

Ilyas, Engstrom, Athalye, Lin 2018 (arXiv 1804.08598), section 2.1, untargeted: Gaussian directions in pairs of
opposites, then a step of projected gradient descent, along the sign in linf and along the gradient in l2; without the
momentum and the shrinking steps of their code. Each image has directions of its own, and one that is fooled asks no
more, so neither result nor queries depend on the batch.
"""

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from robustbench_pix.attacks.access import Oracle
from robustbench_pix.attacks.asking import in_parts, log_odds
from robustbench_pix.attacks.balls import Ball, steepest
from robustbench_pix.attacks.base import FixedStrengthAttack, ImageKey, Target, attacked_module
from robustbench_pix.attacks.engine_classes import bounds
from robustbench_pix.attacks.keyed import KeyedNoise
from robustbench_pix.attacks.parameters import positive, whole


class NaturalEvolution(FixedStrengthAttack):
    """Descends the log odds of the label, whose gradient does not vanish where its probability is 1.

    Args:
        steps: of descent.
        directions: pairs of opposite directions asked about for each step; a step takes 2 x directions + 1 queries.
        sigma: of the Gaussian directions.
        step: length of a step as a share of the strength, in its norm.
    """

    needs = bounds("scores", "linf", "l2")

    def __init__(self, steps: int = 200, directions: int = 25, sigma: float = 0.001, step: float = 0.2) -> None:
        self.steps = whole("steps", steps, at_least=1)
        self.directions = whole("directions", directions, at_least=1)
        self.sigma = positive("sigma", sigma)
        self.step = positive("step", step, up_to=1)

    def perturb(
        self, target: Target, images: Tensor, labels: Tensor, strengths: Sequence[float], keys: Sequence[ImageKey]
    ) -> Iterator[Tensor]:
        """Yield where a descent of its own ends at each l2 or linf strength; at 0 the image itself, without a query."""
        for strength in strengths:
            yield images if strength == 0 else self._descend(target, images, labels, strength, keys)

    @torch.no_grad()
    def _descend(
        self, target: Target, images: Tensor, labels: Tensor, strength: float, keys: Sequence[ImageKey]
    ) -> Tensor:
        oracle, noise = attacked_module(target), KeyedNoise(keys, "natural-evolution", images.device)
        found, rows = images.clone(), torch.arange(len(images), device=images.device)
        ball = Ball(images, strength, target.norm)
        for step in range(self.steps):
            gradient = self.gradient(oracle, found[rows], labels[rows], rows, noise.of(rows), step)
            downhill = -steepest(gradient, target.norm)
            moved = ball.of(rows).project(found[rows] + self.step * strength * downhill)
            found[rows] = moved
            rows = rows[in_parts(oracle, moved, rows).argmax(dim=1) == labels[rows]]
            if len(rows) == 0 or oracle.spent(rows):
                break
        return found

    def gradient(
        self, oracle: Oracle, points: Tensor, labels: Tensor, rows: Tensor, noise: KeyedNoise, step: int
    ) -> Tensor:
        """Return the estimated gradient of the log odds of the labels at points (M, C, H, W) of the images ``rows``."""
        numbers = torch.arange(step * self.directions, (step + 1) * self.directions, device=rows.device)
        drawn = noise.normal(numbers, points[0].numel()).reshape(-1, *points.shape)
        around = torch.cat([points + self.sigma * drawn, points - self.sigma * drawn]).clamp_(0, 1)
        scores = in_parts(oracle, around.flatten(0, 1), rows.repeat(len(around)))
        above, below = log_odds(scores, labels.repeat(len(around))).reshape(2, self.directions, -1, 1, 1, 1)
        return ((above - below) * drawn).mean(dim=0) / (2 * self.sigma)

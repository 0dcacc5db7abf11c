"""Natural evolution strategies (NES): descend a gradient estimated from scores at random nearby points.

Ilyas, Engstrom, Athalye, Lin 2018 (arXiv 1804.08598), section 2.1, untargeted: Gaussian directions in pairs of
opposites, then a step of projected gradient descent, along the sign in linf and along the gradient in l2, with the
momentum of their code but without its shrinking steps. Each image has its own directions, and one that is fooled is not
queried again, so neither result nor queries depend on the batch.
"""

import torch
from torch import Tensor

from robustbench_pix.attacks.base import AttackContext, SearchAttack
from robustbench_pix.attacks.common.losses import log_odds
from robustbench_pix.attacks.common.norms import Ball, steepest
from robustbench_pix.attacks.common.philox import PhiloxNoise
from robustbench_pix.attacks.querying.oracle import Oracle, in_parts
from robustbench_pix.attacks.requirements import bounds, positive, whole
from robustbench_pix.randomness import ImageKeys


class NaturalEvolution(SearchAttack):
    """Descends the log odds of the label, whose gradient does not vanish where its probability is 1.

    Args:
        steps: number of descent steps.
        directions: pairs of opposite directions for each step; a step takes 2 x directions + 1 queries.
        sigma: standard deviation of the Gaussian directions.
        step: step length as a share of the strength, in its norm.
        momentum: share of the accumulated estimates that is kept at each step.
    """

    needs = bounds("scores", "linf", "l2")

    def __init__(
        self, steps: int = 200, directions: int = 15, sigma: float = 0.001, step: float = 0.2, momentum: float = 0.9
    ) -> None:
        self.steps = whole("steps", steps, at_least=1)
        self.directions = whole("directions", directions, at_least=1)
        self.sigma = positive("sigma", sigma)
        self.step = positive("step", step, up_to=1)
        self.momentum = momentum and positive("momentum", momentum, up_to=1)

    @torch.no_grad()
    def search(self, context: AttackContext, ball: Ball, labels: Tensor, keys: ImageKeys) -> Tensor:
        """Return where each image's descent ends."""
        images, oracle, noise = ball.images, context.model, PhiloxNoise(keys, "natural-evolution", ball.images.device)
        found, rows = images.clone(), torch.arange(len(images), device=images.device)
        velocity = torch.zeros_like(images)
        for step in range(self.steps):
            gradient = self.gradient(oracle, found[rows], labels[rows], rows, noise.select(rows), step)
            velocity[rows] = self.momentum * velocity[rows] + gradient
            downhill = -steepest(velocity[rows], ball.norm)
            moved = ball.select(rows).project(found[rows] + self.step * ball.radius * downhill)
            found[rows] = moved
            rows = rows[in_parts(oracle, moved, rows).argmax(dim=1) == labels[rows]]
            if len(rows) == 0 or oracle.spent(rows):
                break
        return found

    def gradient(
        self, oracle: Oracle, points: Tensor, labels: Tensor, rows: Tensor, noise: PhiloxNoise, step: int
    ) -> Tensor:
        """Return the estimated gradient of the log odds of the labels at points (M, C, H, W) of the images ``rows``."""
        numbers = torch.arange(step * self.directions, (step + 1) * self.directions, device=rows.device)
        drawn = noise.normal(numbers, points[0].numel()).reshape(-1, *points.shape)
        around = torch.cat([points + self.sigma * drawn, points - self.sigma * drawn]).clamp_(0, 1)
        scores = in_parts(oracle, around.flatten(0, 1), rows.repeat(len(around)))
        above, below = log_odds(scores, labels.repeat(len(around))).reshape(2, self.directions, -1, 1, 1, 1)
        return ((above - below) * drawn).mean(dim=0) / (2 * self.sigma)

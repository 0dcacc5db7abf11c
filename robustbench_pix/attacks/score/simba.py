"""SimBA: try the directions of an orthonormal basis in turn, and keep steps that lower the label's probability.

Guo, Gardner, You, Wilson, Weinberger 2019 (arXiv 1905.07121), algorithm 1, in pixels or in the cosine basis. There
it is unconstrained; here it is projected onto the l2 ball of each strength, with a step that is a share of the radius.
Each image has its own orders, and one that is fooled is not queried again: neither result nor queries depend on the
batch.
"""

import torch
from torch import Tensor
from torch.nn import functional

from robustbench_pix.attacks.base import AttackContext, SearchAttack
from robustbench_pix.attacks.common.losses import log_odds
from robustbench_pix.attacks.common.norms import Ball, cosines
from robustbench_pix.attacks.common.philox import PhiloxNoise
from robustbench_pix.attacks.requirements import bounds, positive, whole
from robustbench_pix.randomness import ImageKeys

BASES = ("pixel", "dct")


class SimBA(SearchAttack):
    """Directions in random order without repetition; after all of them, again in another order.

    Args:
        steps: directions tried, with at most two queries each, after one query of the image itself.
        basis: ``pixel``, single values, or ``dct``, low frequencies of a channel.
        frequencies: number of frequencies of the cosine basis along height and width; at most all of them.
        step: step length as a share of the strength.
    """

    needs = bounds("scores", "l2")

    def __init__(self, steps: int = 1_000, basis: str = "pixel", frequencies: int = 16, step: float = 0.2) -> None:
        self.steps = whole("steps", steps, at_least=1)
        if basis not in BASES:
            raise ValueError(f"basis must be pixel or dct (got {basis!r})")
        self.basis = basis
        self.frequencies = whole("frequencies", frequencies, at_least=1)
        self.step = positive("step", step, up_to=1)

    @torch.no_grad()
    def search(self, context: AttackContext, ball: Ball, labels: Tensor, keys: ImageKeys) -> Tensor:
        """Return where each image's search ends; all strengths try an image's directions in the same order."""
        images, oracle, noise = ball.images, context.model, PhiloxNoise(keys, "simba", ball.images.device)
        directions = Directions(self, images)
        found, rows = images.clone(), torch.arange(len(images), device=images.device)
        smallest = log_odds(oracle(found, rows), labels)
        for step in range(self.steps):
            if step % directions.count == 0:
                orders = noise.uniform(torch.full_like(rows[:1], step), directions.count)[0].argsort(dim=1)
            change = self.step * ball.radius * directions.select(orders[:, step % directions.count])
            active = rows
            for sign in (1, -1):
                tried = ball.select(active).project(found[active] + sign * change[active])
                scores = oracle(tried, active)
                odds, fooled = log_odds(scores, labels[active]), scores.argmax(dim=1) != labels[active]
                better = fooled | (odds < smallest[active])
                found[active[better]], smallest[active[better]] = tried[better], odds[better]
                rows = rows[~torch.isin(rows, active[fooled])]
                active = active[~better]
                if len(active) == 0:
                    break
            if len(rows) == 0 or oracle.spent(rows):
                break
        return found


class Directions:
    """The numbered directions of a basis; each is the product of a column and a row in one channel.

    Attributes:
        count: number of directions.
    """

    def __init__(self, attack: SimBA, images: Tensor) -> None:
        self.channels, *sizes = images.shape[1:]
        self.down, self.across = (
            cosines(size, attack.frequencies, images.device)
            if attack.basis == "dct"
            else torch.eye(size, device=images.device)
            for size in sizes
        )
        self.count = self.channels * len(self.down) * len(self.across)

    def select(self, numbers: Tensor) -> Tensor:
        """Return the directions of numbers (N,), float32 (N, C, H, W), of an L2 norm of 1."""
        channel, place = numbers // (self.count // self.channels), numbers % (self.count // self.channels)
        plane = self.down[place // len(self.across), :, None] * self.across[place % len(self.across), None, :]
        return functional.one_hot(channel, self.channels)[:, :, None, None] * plane[:, None]

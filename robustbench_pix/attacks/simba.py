"""SimBA: try one direction of an orthonormal basis after the other, and keep what lowers the label's probability.

Guo, Gardner, You, Wilson, Weinberger 2019 (arXiv 1905.07121), algorithm 1, in pixels or in the cosine basis. It is
unconstrained there; here it is projected into the l2 ball of each strength, and its step is a share of the radius. Each
image has orders of its own, and one that is fooled asks no more: neither result nor queries depend on the batch.
"""

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor
from torch.nn import functional

from robustbench_pix.attacks.asking import log_odds
from robustbench_pix.attacks.balls import Ball
from robustbench_pix.attacks.base import FixedStrengthAttack, ImageKey, Target, attacked_module
from robustbench_pix.attacks.cosines import cosines
from robustbench_pix.attacks.engine_classes import bounds
from robustbench_pix.attacks.keyed import KeyedNoise
from robustbench_pix.attacks.parameters import positive, whole

BASES = ("pixel", "dct")


class SimBA(FixedStrengthAttack):
    """Random order without repetition; once all directions were tried, again in another order.

    Args:
        steps: directions tried, two queries at most each, and one query more for the image itself.
        basis: ``pixel``, single values, or ``dct``, low frequencies of a channel.
        frequencies: of the cosine basis, in height and width each; all if there are fewer.
        step: length along a direction as a share of the strength.
    """

    needs = bounds("scores", "l2")

    def __init__(self, steps: int = 1_000, basis: str = "pixel", frequencies: int = 16, step: float = 0.2) -> None:
        self.steps = whole("steps", steps, at_least=1)
        if basis not in BASES:
            raise ValueError(f"basis must be pixel or dct (got {basis!r})")
        self.basis = basis
        self.frequencies = whole("frequencies", frequencies, at_least=1)
        self.step = positive("step", step, up_to=1)

    def perturb(
        self, target: Target, images: Tensor, labels: Tensor, strengths: Sequence[float], keys: Sequence[ImageKey]
    ) -> Iterator[Tensor]:
        """Yield where a search of its own ends at each l2 strength; at 0 the image itself, without a query.

        All searches of an image try the directions in the same order.
        """
        for strength in strengths:
            yield images if strength == 0 else self._search(target, images, labels, strength, keys)

    @torch.no_grad()
    def _search(
        self, target: Target, images: Tensor, labels: Tensor, strength: float, keys: Sequence[ImageKey]
    ) -> Tensor:
        oracle, noise = attacked_module(target), KeyedNoise(keys, "simba", images.device)
        directions, ball = Directions(self, images), Ball(images, strength, "l2")
        found, rows = images.clone(), torch.arange(len(images), device=images.device)
        smallest = log_odds(oracle(found, rows), labels)
        for step in range(self.steps):
            if step % directions.count == 0:
                orders = noise.uniform(torch.full_like(rows[:1], step), directions.count)[0].argsort(dim=1)
            change = self.step * strength * directions.of(orders[:, step % directions.count])
            asking = rows
            for sign in (1, -1):
                tried = ball.of(asking).project(found[asking] + sign * change[asking])
                scores = oracle(tried, asking)
                odds, fooled = log_odds(scores, labels[asking]), scores.argmax(dim=1) != labels[asking]
                better = fooled | (odds < smallest[asking])
                found[asking[better]], smallest[asking[better]] = tried[better], odds[better]
                rows = rows[~torch.isin(rows, asking[fooled])]
                asking = asking[~better]
                if len(asking) == 0:
                    break
            if len(rows) == 0 or oracle.spent(rows):
                break
        return found


class Directions:
    """The directions of a basis, numbered; each is one channel's product of a column and a row.

    Attributes:
        count: how many there are.
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

    def of(self, numbers: Tensor) -> Tensor:
        """Return the directions of numbers (N,), float32 (N, C, H, W), of an L2 norm of 1."""
        channel, place = numbers // (self.count // self.channels), numbers % (self.count // self.channels)
        plane = self.down[place // len(self.across), :, None] * self.across[place % len(self.across), None, :]
        return functional.one_hot(channel, self.channels)[:, :, None, None] * plane[:, None]

"""Square: change one random square at a time and keep the change where the margin falls.

Andriushchenko, Croce, Flammarion, Hein 2020 (arXiv 1912.00049), with the margin loss, the schedule of sizes stretched
to the number of queries and the changes of AutoAttack, which is theirs too. Squares, signs and acceptance are each
image's own, one query a step, and an image that is fooled asks no more: neither result nor queries depend on the batch.
"""

import math
from collections.abc import Iterator, Sequence
from itertools import islice

import torch
from torch import Tensor

from robustbench_pix.attacks.access import Oracle
from robustbench_pix.attacks.balls import Ball
from robustbench_pix.attacks.base import FixedStrengthAttack, ImageKey, Target, attacked_module
from robustbench_pix.attacks.engine_classes import bounds
from robustbench_pix.attacks.keyed import KeyedNoise
from robustbench_pix.attacks.parameters import positive, whole
from robustbench_pix.attacks.square_changes import BoxChanges, SphereChanges

HALVED_AFTER = (10, 50, 200, 500, 1_000, 2_000, 4_000, 6_000, 8_000)
"""Steps of 10,000 after which the share of an image that one square covers is halved (section 4.1 of the paper)."""


STEPS_DRAWN_AT_ONCE = 100
"""A matter of speed."""


class SquareAttack(FixedStrengthAttack):
    """Random search with squares in a ball of linf (entries of the ball's edge) or l2, as ``strength`` says.

    Args:
        steps: queries of an image that is never fooled.
        initial_share: of the image that the first squares cover.
    """

    needs = bounds("scores", "linf", "l2")

    def __init__(self, steps: int = 1_000, initial_share: float = 0.8) -> None:
        self.steps = whole("steps", steps, at_least=1)
        self.initial_share = positive("initial_share", initial_share, up_to=1)

    def perturb(
        self, target: Target, images: Tensor, labels: Tensor, strengths: Sequence[float], keys: Sequence[ImageKey]
    ) -> Iterator[Tensor]:
        """Yield what a search of its own finds at each strength; at 0 the image itself, without a query.

        Where none is found, the point of the smallest margin. All searches of an image draw the same squares.
        """
        oracle, everywhere = attacked_module(target), torch.arange(len(images), device=images.device)
        for strength in strengths:
            if strength == 0:
                yield images
            else:
                yield self.search(oracle, everywhere, Ball(images, strength, target.norm), labels, keys, self.steps)[0]

    def side(self, step: int, height: int, width: int) -> int:
        """Return the side of the squares at a step, counted from 0, in pixels."""
        halvings = sum(step * 10_000 // self.steps > limit for limit in HALVED_AFTER)
        side = round(math.sqrt(self.initial_share / 2**halvings * height * width))
        return min(max(side, 1), height, width)

    @torch.no_grad()
    def search(
        self,
        oracle: Oracle,
        places: Tensor,
        ball: Ball,
        labels: Tensor,
        keys: Sequence[ImageKey],
        queries: int,
    ) -> tuple[Tensor, Tensor]:
        """Return what so many queries of each image found, (N, C, H, W), and whether it fools, bool (N,).

        Args:
            places: where the images of the ball stand among those that the oracle knows, int64 (N,).
        """
        images = ball.images
        changes = (BoxChanges if ball.norm == "linf" else SphereChanges)(images, ball.radius)
        found, rows = images.clone(), torch.arange(len(images), device=images.device)
        smallest = torch.full_like(rows, torch.inf, dtype=torch.float32)
        draws = self._draws(changes, KeyedNoise(keys, "square", images.device))
        for step, drawn in enumerate(islice(draws, queries)):
            if step == 0:
                tried = changes.first(rows, drawn)
            else:
                tried = changes.next(rows, found[rows], drawn[rows], self.side(step, *images.shape[2:]))
            margin, fooled = _margins(oracle(tried, places[rows]), labels[rows])
            better = fooled | (margin < smallest[rows])
            found[rows[better]], smallest[rows[better]] = tried[better], margin[better]
            rows = rows[~fooled]
            if len(rows) == 0 or oracle.spent(places[rows]):
                break
        return found, torch.ones_like(labels, dtype=torch.bool).index_fill(0, rows, False)

    def _draws(self, changes: BoxChanges | SphereChanges, noise: KeyedNoise) -> Iterator[Tensor]:
        """Yield the uniform numbers of all images: (N, changes.first_draws), then (N, changes.draws) for each step."""
        steps = torch.arange(self.steps, device=noise.keys.device)
        yield noise.uniform(steps[:1], changes.first_draws)[0]
        for part in steps[1:].split(STEPS_DRAWN_AT_ONCE):
            yield from noise.uniform(part, changes.draws)


def _margins(scores: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    """Return the score of the label less the best other one, (N,), and whether the model decides otherwise."""
    own = scores.gather(1, labels[:, None])
    others = scores.scatter(1, labels[:, None], -torch.inf).amax(dim=1)
    return own.flatten() - others, scores.argmax(dim=1) != labels

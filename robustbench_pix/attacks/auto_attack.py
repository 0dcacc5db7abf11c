"""AutoAttack, version "standard": Croce and Hein 2020, arXiv 2003.01690.

Four attacks one after the other, each on the images that the earlier ones did not fool: APGD on the cross-entropy, APGD
on the targeted DLR for each of nine classes, FAB for the same classes, and Square. The code is ours; every draw is
keyed by image, and an image that is fooled asks no more, so neither result nor queries depend on the batch.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor

from robustbench_pix.attacks.access import Oracle
from robustbench_pix.attacks.adaptive_boundary import nearest
from robustbench_pix.attacks.adaptive_gradient import ascend
from robustbench_pix.attacks.balls import Ball
from robustbench_pix.attacks.base import FixedStrengthAttack, ImageKey, Target, attacked_module
from robustbench_pix.attacks.engine_classes import bounds
from robustbench_pix.attacks.keyed import KeyedNoise
from robustbench_pix.attacks.parameters import whole
from robustbench_pix.attacks.square import SquareAttack
from robustbench_pix.attacks.victims import Victims, cross_entropy, targeted_ratio

Stage = Callable[[Tensor], tuple[Tensor, Tensor]]


class AutoAttack(FixedStrengthAttack):
    """The four attacks in a ball of linf or l2, as ``strength`` says.

    Args:
        steps: of each run of APGD and FAB.
        targets: classes aimed at, those of the largest logits of the image but for its label; fewer where there are
            fewer classes.
        queries: of Square.
    """

    needs = bounds("gradients", "linf", "l2")

    def __init__(self, steps: int = 100, targets: int = 9, queries: int = 5_000) -> None:
        self.steps = whole("steps", steps, at_least=1)
        self.targets = whole("targets", targets, at_least=1)
        self.queries = whole("queries", queries, at_least=1)
        # As there, Square ends after half of its schedule.
        self.square = SquareAttack(2 * queries)

    def perturb(
        self, target: Target, images: Tensor, labels: Tensor, strengths: Sequence[float], keys: Sequence[ImageKey]
    ) -> Iterator[Tensor]:
        """Yield what fools within each strength, else the image; at 0 the images, without a query."""
        oracle = attacked_module(target)
        for strength in strengths:
            if strength == 0:
                yield images
            else:
                yield self._search(oracle, Ball(images, strength, target.norm), labels, keys)

    def _search(self, oracle: Oracle, ball: Ball, labels: Tensor, keys: Sequence[ImageKey]) -> Tensor:
        rows = torch.arange(len(labels), device=labels.device)
        with torch.no_grad():
            ranked = oracle(ball.images, rows).argsort(dim=1, descending=True, stable=True)
        found, left = ball.images.clone(), rows[ranked[:, 0] == labels]
        classes = range(1, min(self.targets + 1, ranked.shape[1]))
        search = _Search(self, oracle, ball, labels, ranked, keys)
        stages: list[Stage] = [
            *(partial(search.climb, number) for number in (0, *classes)),
            *(partial(search.cross, number) for number in classes),
            search.try_squares,
        ]
        for stage in stages:
            if len(left) == 0:
                break
            points, fooled = stage(left)
            found[left[fooled]] = points[fooled]
            left = left[~fooled]
        return found


@dataclass(frozen=True)
class _Search:
    """The stages of one search. Each takes the places of M images, and returns their points and who is fooled (M,).

    Attributes:
        ranked: the classes of each image by its logits, the largest first, int64 (N, classes).
    """

    attack: AutoAttack
    oracle: Oracle
    ball: Ball
    labels: Tensor
    ranked: Tensor
    keys: Sequence[ImageKey]

    def _victims(self, number: int, rows: Tensor) -> Victims:
        return Victims(self.oracle, self.ball.of(rows), self.labels[rows], self.ranked[rows, number], rows)

    def climb(self, number: int, rows: Tensor) -> tuple[Tensor, Tensor]:
        """APGD from a random point of the surface: at 0 on the cross-entropy, else towards the class of that rank."""
        victims, keys = self._victims(number, rows), [self.keys[row] for row in rows.tolist()]
        starts = victims.ball.surface(KeyedNoise(keys, "auto-attack", rows.device), number)
        return ascend(victims, starts, targeted_ratio if number else cross_entropy, self.attack.steps)

    def cross(self, number: int, rows: Tensor) -> tuple[Tensor, Tensor]:
        """FAB towards the class of a rank."""
        radius = self.ball.radius
        points, distance = nearest(self._victims(number, rows), self.attack.steps, near_enough=radius)
        return points, distance <= radius

    def try_squares(self, rows: Tensor) -> tuple[Tensor, Tensor]:
        """Square."""
        keys, square = [self.keys[row] for row in rows.tolist()], self.attack.square
        return square.search(self.oracle, rows, self.ball.of(rows), self.labels[rows], keys, self.attack.queries)

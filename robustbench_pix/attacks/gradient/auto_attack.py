"""AutoAttack, version "standard": Croce and Hein 2020, arXiv 2003.01690.

Four attacks one after the other, each on the images that the earlier ones did not fool: APGD on the cross-entropy, APGD
on the targeted DLR loss for each of nine classes, FAB for the same classes, and Square. An independent implementation:
every draw belongs to its image, and an image that is fooled is not queried again, so neither result nor queries depend
on the batch.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor

from robustbench_pix.attacks.base import AttackContext, SearchAttack
from robustbench_pix.attacks.common.losses import cross_entropy, targeted_ratio
from robustbench_pix.attacks.common.norms import Ball
from robustbench_pix.attacks.common.philox import PhiloxNoise
from robustbench_pix.attacks.gradient.apgd import ActiveImages, ascend
from robustbench_pix.attacks.gradient.fab import nearest
from robustbench_pix.attacks.querying.oracle import Oracle
from robustbench_pix.attacks.requirements import bounds, whole
from robustbench_pix.attacks.score.square import SquareAttack
from robustbench_pix.randomness import ImageKeys

Stage = Callable[[Tensor], tuple[Tensor, Tensor]]


class AutoAttack(SearchAttack):
    """The four attacks in a ball of linf or l2, as ``strength`` says.

    Args:
        steps: number of steps of each run of APGD and FAB.
        targets: number of target classes, those of the image's largest logits except its label; fewer where there are
            fewer classes.
        queries: query budget of Square.
    """

    needs = bounds("gradients", "linf", "l2")

    def __init__(self, steps: int = 100, targets: int = 9, queries: int = 5_000) -> None:
        self.steps = whole("steps", steps, at_least=1)
        self.targets = whole("targets", targets, at_least=1)
        self.queries = whole("queries", queries, at_least=1)
        # As in the authors' code, Square ends after half of its schedule.
        self.square = SquareAttack(2 * queries)

    def search(self, context: AttackContext, ball: Ball, labels: Tensor, keys: ImageKeys) -> Tensor:
        """Return the first adversarial point of each image, else the image."""
        oracle, rows = context.model, torch.arange(len(labels), device=labels.device)
        with torch.no_grad():
            ranked = oracle(ball.images, rows).argsort(dim=1, descending=True, stable=True)
        found, left = ball.images.clone(), rows[ranked[:, 0] == labels]
        classes = range(1, min(self.targets + 1, ranked.shape[1]))
        of_search = _Stages(self, oracle, ball, labels, ranked, keys)
        stages: list[Stage] = [
            *(partial(of_search.climb, number) for number in (0, *classes)),
            *(partial(of_search.cross, number) for number in classes),
            of_search.try_squares,
        ]
        for stage in stages:
            if len(left) == 0:
                break
            points, fooled = stage(left)
            found[left[fooled]] = points[fooled]
            left = left[~fooled]
        return found


@dataclass(frozen=True)
class _Stages:
    """The stages of one search. Each takes the rows of M images, and returns their points and whether these fool (M,).

    Attributes:
        ranked: the classes of each image by decreasing logit, int64 (N, classes).
    """

    attack: AutoAttack
    oracle: Oracle
    ball: Ball
    labels: Tensor
    ranked: Tensor
    keys: ImageKeys

    def _active(self, number: int, rows: Tensor) -> ActiveImages:
        return ActiveImages(self.oracle, self.ball.select(rows), self.labels[rows], self.ranked[rows, number], rows)

    def climb(self, number: int, rows: Tensor) -> tuple[Tensor, Tensor]:
        """APGD from a random point of the surface: at 0 on the cross-entropy, else towards the class of that rank."""
        active, keys = self._active(number, rows), [self.keys[row] for row in rows.tolist()]
        starts = active.ball.surface(PhiloxNoise(keys, "auto-attack", rows.device), number)
        return ascend(active, starts, targeted_ratio if number else cross_entropy, self.attack.steps)

    def cross(self, number: int, rows: Tensor) -> tuple[Tensor, Tensor]:
        """FAB towards the class of a rank."""
        radius = self.ball.radius
        points, distance = nearest(self._active(number, rows), self.attack.steps, near_enough=radius)
        return points, distance <= radius

    def try_squares(self, rows: Tensor) -> tuple[Tensor, Tensor]:
        """Square."""
        keys, square = [self.keys[row] for row in rows.tolist()], self.attack.square
        return square.random_search(
            self.oracle, rows, self.ball.select(rows), self.labels[rows], keys, self.attack.queries
        )

"""Pointwise: reset an adversarial image to the clean one value by value, as long as it stays adversarial.

Schott, Rauber, Bethge, Brendel 2019 (arXiv 1805.09190) reset whole values in random order until none can be; then, as
in foolbox 3, the remaining values are moved towards the clean ones by bisection. Unlike there each image has its own
orders and proceeds alone, so neither result nor queries depend on the batch.
"""

import torch
from torch import Tensor

from robustbench_pix.attacks.base import AttackContext, MinimalDistanceAttack
from robustbench_pix.attacks.common.philox import PhiloxNoise
from robustbench_pix.attacks.querying.oracle import Oracle
from robustbench_pix.attacks.requirements import minimizes
from robustbench_pix.randomness import ImageKeys

HALVINGS = 10
"""Number of bisections between a value and the clean one, for each value in each pass."""

SMALLEST_GAIN = 1e-3
"""An image is done once a pass over its values shortens the distance by a smaller share."""


class Pointwise(MinimalDistanceAttack):
    """Minimizes the number of changed values, then each change in turn: a local minimum, not the smallest l2."""

    needs = minimizes("decisions", "any")
    needs_starts = True

    @torch.no_grad()
    def minimize(
        self, context: AttackContext, images: Tensor, labels: Tensor, starts: Tensor | None, keys: ImageKeys
    ) -> Tensor:
        """Return for each image the point at which no single value can be moved further."""
        assert starts is not None
        noise = PhiloxNoise(keys, "pointwise", images.device)
        state = PointwiseState(context.model, images, labels, starts, noise)
        rows = torch.arange(len(images), device=images.device)
        for halvings, smallest_gain in ((0, 0.0), (HALVINGS, SMALLEST_GAIN)):
            going = rows
            while len(going) and not state.oracle.spent(going):
                before = state.distances(going)
                state.over_all_values(going, halvings)
                going = going[before - state.distances(going) > smallest_gain * before]
        return state.found.reshape(images.shape)


class PointwiseState:
    """The state of a batch of images.

    Attributes:
        found: the current adversarial images, float32 (N, D), D = C x H x W.
    """

    def __init__(self, oracle: Oracle, images: Tensor, labels: Tensor, starts: Tensor, noise: PhiloxNoise) -> None:
        self.oracle, self.labels, self.noise, self.shape = oracle, labels, noise, images.shape[1:]
        self.images, self.found = images.flatten(1), starts.flatten(1).clone()
        self.passes = 0

    def distances(self, rows: Tensor) -> Tensor:
        """Return the l2 distances of some of the images, (M,)."""
        return torch.linalg.vector_norm(self.found[rows] - self.images[rows], dim=1)

    def over_all_values(self, rows: Tensor, halvings: int) -> None:
        """Move each changed value of some images (M,), in random order, towards the clean one.

        It is reset if the image stays adversarial, else moved as far as bisection allows, one query a step.
        """
        differs = self.found[rows] != self.images[rows]
        step = torch.full_like(rows[:1], self.passes)
        drawn = self.noise.select(rows).uniform(step, differs.shape[1])[0]
        orders, counts = drawn.masked_fill(~differs, 2.0).argsort(dim=1), differs.sum(dim=1)
        self.passes += 1
        for place in range(int(counts.max())):
            with_more = counts > place
            here, values = rows[with_more], orders[with_more, place]
            if self.oracle.spent(here):
                return
            self._move(here, values, halvings)

    def _move(self, rows: Tensor, values: Tensor, halvings: int) -> None:
        """Move one value of each image; ``values`` (M,) are their numbers."""
        clean = self.images[rows, values]
        stays = self._wrong_with(rows, values, clean)
        self.found[rows[stays], values[stays]] = clean[stays]
        rows, values, right = rows[~stays], values[~stays], clean[~stays]
        wrong = self.found[rows, values]
        for _ in range(halvings if len(rows) else 0):
            middle = (wrong + right) / 2
            stays = self._wrong_with(rows, values, middle)
            wrong, right = torch.where(stays, middle, wrong), torch.where(stays, right, middle)
        self.found[rows, values] = wrong

    def _wrong_with(self, rows: Tensor, values: Tensor, tried: Tensor) -> Tensor:
        """Return whether images are misclassified with one value replaced, bool (M,)."""
        queries = self.found[rows].scatter_(1, values[:, None], tried[:, None])
        return self.oracle(queries.unflatten(1, self.shape), rows).argmax(dim=1) != self.labels[rows]

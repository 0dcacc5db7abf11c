"""Pointwise: set an adversarial image back to the clean one value by value, as far as it stays adversarial.

Schott, Rauber, Bethge, Brendel 2019 (arXiv 1805.09190) set whole values back in random order until none can be; then,
as in foolbox 3, the values that are left are moved towards the clean ones by bisection. Unlike there each image has
orders of its own and goes on by itself, so neither result nor queries depend on the batch.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from robustbench_pix.attacks.access import Oracle
from robustbench_pix.attacks.base import ImageKey, MinimalDistanceAttack, Target, attacked_module
from robustbench_pix.attacks.engine_classes import minimizes
from robustbench_pix.attacks.keyed import KeyedNoise

HALVINGS = 10
"""Of the way from a value to the clean one, for each value in each pass."""

SMALLEST_GAIN = 1e-3
"""An image is done when a pass over its values shortens the distance by a smaller share."""


class Pointwise(MinimalDistanceAttack):
    """Makes few values differ, then these as little as possible one at a time: a local minimum, not the smallest l2."""

    needs = minimizes("decisions", "any")
    needs_starts = True

    @torch.no_grad()
    def minimize(
        self, target: Target, images: Tensor, labels: Tensor, starts: Tensor | None, keys: Sequence[ImageKey]
    ) -> Tensor:
        """Return where no single value of an image can be moved further."""
        assert starts is not None
        noise = KeyedNoise(keys, "pointwise", images.device)
        retreat = Retreat(attacked_module(target), images, labels, starts, noise)
        rows = torch.arange(len(images), device=images.device)
        for halvings, smallest_gain in ((0, 0.0), (HALVINGS, SMALLEST_GAIN)):
            going = rows
            while len(going) and not retreat.oracle.spent(going):
                before = retreat.distances(going)
                retreat.over_all_values(going, halvings)
                going = going[before - retreat.distances(going) > smallest_gain * before]
        return retreat.found.reshape(images.shape)


class Retreat:
    """The way back of a batch of images.

    Attributes:
        found: where each image stands, the model wrong there, float32 (N, D), D = C x H x W.
    """

    def __init__(self, oracle: Oracle, images: Tensor, labels: Tensor, starts: Tensor, noise: KeyedNoise) -> None:
        self.oracle, self.labels, self.noise, self.shape = oracle, labels, noise, images.shape[1:]
        self.images, self.found = images.flatten(1), starts.flatten(1).clone()
        self.passes = 0

    def distances(self, rows: Tensor) -> Tensor:
        """Return how far some of the images are, in l2, (M,)."""
        return torch.linalg.vector_norm(self.found[rows] - self.images[rows], dim=1)

    def over_all_values(self, rows: Tensor, halvings: int) -> None:
        """Move each value of some images (M,) that is not the clean one, in random order, towards it.

        To it where the model stays wrong, else as far as so many halvings of the way find, one query each.
        """
        differs = self.found[rows] != self.images[rows]
        step = torch.full_like(rows[:1], self.passes)
        drawn = self.noise.of(rows).uniform(step, differs.shape[1])[0]
        orders, counts = drawn.masked_fill(~differs, 2.0).argsort(dim=1), differs.sum(dim=1)
        self.passes += 1
        for place in range(int(counts.max())):
            with_more = counts > place
            here, values = rows[with_more], orders[with_more, place]
            if self.oracle.spent(here):
                return
            self._move(here, values, halvings)

    def _move(self, rows: Tensor, values: Tensor, halvings: int) -> None:
        """Move one value of each image, ``values`` (M,) being its number."""
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
        """Return whether the model is wrong on images with one value replaced, bool (M,)."""
        queries = self.found[rows].scatter_(1, values[:, None], tried[:, None])
        return self.oracle(queries.unflatten(1, self.shape), rows).argmax(dim=1) != self.labels[rows]

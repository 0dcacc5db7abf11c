"""GeoDA: go from the image along an estimate of the boundary's normal, as if the boundary were flat.

Rahmati, Moosavi-Dezfooli, Frossard, Dai 2020 (arXiv 2003.06468), algorithm 1 for l2 and linf: the normal is estimated
from decisions at random low-frequency probes around a point of the boundary, and the next point lies where the ray from
the image in that direction crosses it. As in the authors' code estimates are added up, here with all directions alike.
Unlike there an image whose ray crosses no nearer stays where it is, rays go on along the faces of [0, 1], and
directions are each image's own, so nothing depends on the batch.
"""

from collections.abc import Sequence
from itertools import count

import torch
from torch import Tensor

from robustbench_pix.attacks.access import Oracle
from robustbench_pix.attacks.asking import in_parts
from robustbench_pix.attacks.base import ImageKey, MinimalDistanceAttack, Target, attacked_module
from robustbench_pix.attacks.cosines import cosines
from robustbench_pix.attacks.engine_classes import minimizes
from robustbench_pix.attacks.geometry import distances, lengths, spread
from robustbench_pix.attacks.keyed import KeyedNoise
from robustbench_pix.attacks.parameters import positive, whole

DIRECTIONS_AT_ONCE = 32
"""Of one image. Part of the numbers: sums are rounded in this order."""

FIRST_DIRECTIONS = 80
"""At most, for the first estimate; as many estimates are made as this takes (the authors' code)."""

HALVINGS = 24
"""At most: float32 knows no nearer points."""

FURTHEST = 16.0
"""How far beyond its length a ray is followed along the faces of the cube of images."""


class GeoDA(MinimalDistanceAttack):
    """Rays from the image, l2 or linf as the entry's ``strength`` says.

    Args:
        directions: asked about in all; each estimate gets 1 / rate^(2/3) times those of the one before.
        frequencies: of the cosine basis that directions are made of, in height and width each; all if there are fewer.
        rate: at which the distance is taken to converge, lambda.
        sigma: of the Gaussian coefficients of probes; the boundary is found to half of it.
    """

    needs = minimizes("decisions", "any")
    needs_starts = True

    def __init__(
        self, directions: int = 4_000, frequencies: int = 16, rate: float = 0.6, sigma: float = 0.0002
    ) -> None:
        self.directions = whole("directions", directions, at_least=1)
        self.frequencies = whole("frequencies", frequencies, at_least=1)
        self.rate = positive("rate", rate, up_to=1)
        self.sigma = positive("sigma", sigma)

    def plan(self) -> list[int]:
        """Return the directions of each estimate."""
        for estimates in count(1):
            shares = [self.rate ** (-2 * number / 3) for number in range(estimates)]
            if self.directions / sum(shares) <= FIRST_DIRECTIONS:
                break
        return [round(self.directions * share / sum(shares)) for share in shares]

    @torch.no_grad()
    def minimize(
        self, target: Target, images: Tensor, labels: Tensor, starts: Tensor | None, keys: Sequence[ImageKey]
    ) -> Tensor:
        """Return the point of the boundary that each image reached last."""
        assert starts is not None
        noise = KeyedNoise(keys, "geoda", images.device)
        rays = Rays(self, attacked_module(target), images, labels, noise, target.norm)
        rays.shorten(rays.places, starts - images, torch.ones_like(rays.distances))
        first, normal = 0, torch.zeros_like(images)
        for directions in self.plan():
            if rays.oracle.spent():
                break
            normal += rays.estimate(first, directions)
            rays.turn(normal)
            first += directions
        return rays.found


class Rays:
    """Where a ray from each image of a batch crosses the boundary.

    Attributes:
        found: the nearest such point so far, on the wrong side, float32 (N, C, H, W).
        distances: of these in the norm, (N,).
    """

    def __init__(
        self, attack: GeoDA, oracle: Oracle, images: Tensor, labels: Tensor, noise: KeyedNoise, norm: str
    ) -> None:
        self.oracle, self.images, self.labels, self.noise, self.norm = oracle, images, labels, noise, norm
        self.sigma = attack.sigma
        self.down, self.across = (cosines(size, attack.frequencies, images.device) for size in images.shape[2:])
        self.places = torch.arange(len(images), device=images.device)
        self.found, self.distances = images.clone(), torch.zeros_like(images[:, 0, 0, 0])

    def estimate(self, first: int, directions: int) -> Tensor:
        """Return the sum of random directions around each point, towards where the model is wrong (equation 6).

        ``first``: the number of the first of them, which no other estimate may use.
        """
        total = torch.zeros_like(self.found)
        for step in torch.arange(first, first + directions, device=total.device).split(DIRECTIONS_AT_ONCE):
            drawn = self.directions(step)
            probes = (self.found + self.sigma * drawn).clamp_(0, 1)
            sign = torch.where(self._wrong(probes.flatten(0, 1), self.places.repeat(len(step))), 1.0, -1.0)
            total += (sign.reshape(len(step), -1, 1, 1, 1) * drawn).sum(dim=0)
        return total

    def directions(self, step: Tensor) -> Tensor:
        """Return random directions, Gaussian in the space of low frequencies, float32 (S, N, C, H, W)."""
        channels, down, across = self.images.shape[1], len(self.down), len(self.across)
        drawn = self.noise.normal(step, channels * down * across)
        drawn = drawn.reshape(len(step), -1, channels, down, across)
        return self.down.T @ drawn @ self.across

    def turn(self, normal: Tensor) -> None:
        """Turn the rays to the step that is the shortest over a flat boundary with this normal (equation 5).

        Those on which the model is right as far away as the points are now stay.
        """
        rays = normal.sign() if self.norm == "linf" else normal
        shares = self._as_far(rays)
        wrong = self._wrong(self._points(self.places, rays, shares), self.places)
        self.shorten(self.places[wrong], rays[wrong], shares[wrong])

    def shorten(self, rows: Tensor, rays: Tensor, shares: Tensor) -> None:
        """Find by bisection where rays (M, C, H, W), on which the model is wrong at a multiple (M,), cross over."""
        low, high = torch.zeros_like(shares), shares
        enough = self.sigma / 2 / lengths(rays)
        open_ = torch.arange(len(rows), device=rows.device)
        for _ in range(HALVINGS):
            open_ = open_[(high - low)[open_] > enough[open_]]
            if len(open_) == 0:
                break
            middle = (low + high)[open_] / 2
            wrong = self._wrong(self._points(rows[open_], rays[open_], middle), rows[open_])
            low = low.index_copy(0, open_, torch.where(wrong, low[open_], middle))
            high = high.index_copy(0, open_, torch.where(wrong, middle, high[open_]))
        self.found[rows] = self._points(rows, rays, high)
        self.distances[rows] = distances(self.found[rows] - self.images[rows], self.norm)

    def _as_far(self, rays: Tensor) -> Tensor:
        """Return by which multiple of themselves (N,) rays, clamped to [0, 1], are as long as the distances are."""
        low = self.distances / distances(rays, self.norm)
        high = FURTHEST * low
        for _ in range(HALVINGS):
            middle = (low + high) / 2
            short = distances(self._points(self.places, rays, middle) - self.images, self.norm) <= self.distances
            low, high = torch.where(short, middle, low), torch.where(short, high, middle)
        return low

    def _points(self, rows: Tensor, rays: Tensor, shares: Tensor) -> Tensor:
        return (self.images[rows] + spread(shares) * rays).clamp_(0, 1)

    def _wrong(self, queries: Tensor, rows: Tensor) -> Tensor:
        return in_parts(self.oracle, queries, rows).argmax(dim=1) != self.labels[rows]

"""GeoDA: move from the image along the estimated normal of the boundary, as if the boundary were flat.

Rahmati, Moosavi-Dezfooli, Frossard, Dai 2020 (arXiv 2003.06468), algorithm 1 for l2 and linf: the normal is estimated
from decisions at random low-frequency probes around a boundary point, and the next point lies where the ray from the
image in that direction crosses the boundary. As in the authors' code estimates are summed, here with equal weights.
Unlike there an image whose ray does not cross nearer keeps its point, rays continue along the faces of [0, 1], and each
image has its own directions, so nothing depends on the batch.
"""

from itertools import count

import torch
from torch import Tensor

from robustbench_pix.attacks.base import AttackContext, MinimalDistanceAttack
from robustbench_pix.attacks.common.norms import cosines, distances, lengths, spread
from robustbench_pix.attacks.common.philox import PhiloxNoise
from robustbench_pix.attacks.decision.hop_skip_jump import DIRECTIONS_AT_ONCE, HALVINGS
from robustbench_pix.attacks.querying.oracle import Oracle, in_parts
from robustbench_pix.attacks.requirements import minimizes, positive, whole
from robustbench_pix.randomness import ImageKeys

FIRST_DIRECTIONS = 80
"""Largest number of directions of the first estimate, which sets the number of estimates (the authors' code)."""

FURTHEST = 16.0
"""Multiple of its length up to which a ray is followed along the faces of the cube of images."""


class GeoDA(MinimalDistanceAttack):
    """GeoDAState from the image, l2 or linf as the entry's ``strength`` says.

    Args:
        directions: total number of directions; each estimate gets 1 / rate^(2/3) times those of the one before.
        frequencies: number of frequencies of the cosine basis along height and width; at most all of them.
        rate: assumed rate of convergence of the distance, lambda.
        sigma: standard deviation of the probes' coefficients; the boundary is located to half of it.
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
        self, context: AttackContext, images: Tensor, labels: Tensor, starts: Tensor | None, keys: ImageKeys
    ) -> Tensor:
        """Return the last boundary point of each image."""
        assert starts is not None
        noise = PhiloxNoise(keys, "geoda", images.device)
        state = GeoDAState(self, context.model, images, labels, noise, context.norm)
        state.shorten(state.places, starts - images, torch.ones_like(state.distances))
        first, normal = 0, torch.zeros_like(images)
        for directions in self.plan():
            if state.oracle.spent():
                break
            normal += state.estimate(first, directions)
            state.turn(normal)
            first += directions
        return state.found


class GeoDAState:
    """The points where a ray from each image of a batch crosses the boundary.

    Attributes:
        found: the nearest such point so far, on the adversarial side, float32 (N, C, H, W).
        distances: distances of these in the norm, (N,).
    """

    def __init__(
        self, attack: GeoDA, oracle: Oracle, images: Tensor, labels: Tensor, noise: PhiloxNoise, norm: str
    ) -> None:
        self.oracle, self.images, self.labels, self.noise, self.norm = oracle, images, labels, noise, norm
        self.sigma = attack.sigma
        self.down, self.across = (cosines(size, attack.frequencies, images.device) for size in images.shape[2:])
        self.places = torch.arange(len(images), device=images.device)
        self.found, self.distances = images.clone(), torch.zeros_like(images[:, 0, 0, 0])

    def estimate(self, first: int, directions: int) -> Tensor:
        """Return the sum of random directions around each point, towards the adversarial side (equation 6).

        ``first``: the number of the first direction; no other estimate may use the same numbers.
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
        """Turn the rays to the shortest step across a flat boundary with this normal (equation 5).

        A ray that is not adversarial at the current distance is not turned.
        """
        rays = normal.sign() if self.norm == "linf" else normal
        shares = self._as_far(rays)
        wrong = self._wrong(self._points(self.places, rays, shares), self.places)
        self.shorten(self.places[wrong], rays[wrong], shares[wrong])

    def shorten(self, rows: Tensor, rays: Tensor, shares: Tensor) -> None:
        """Find by bisection where rays (M, C, H, W) that are adversarial at a multiple (M,) cross the boundary."""
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
        """Return the multiple (N,) at which rays, clamped to [0, 1], reach the current distances."""
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

"""HopSkipJump: estimate the boundary's normal from decisions around a boundary point, jump along it, and return.

Chen, Jordan, Wainwright 2020 (arXiv 1904.02144), algorithm 2, untargeted, with the step size halved until the jump is
adversarial. Each image is treated on its own: it has its own directions, its normal is normalized alone, and it makes
no query because other images need one. So neither result nor queries depend on the batch.
"""

import math

import torch
from torch import Tensor

from robustbench_pix.attacks.base import AttackContext, MinimalDistanceAttack
from robustbench_pix.attacks.common.norms import distances, lengths, spread
from robustbench_pix.attacks.common.philox import PhiloxNoise
from robustbench_pix.attacks.querying.oracle import QUERIES_AT_ONCE, Oracle, in_parts
from robustbench_pix.attacks.requirements import minimizes, positive, whole
from robustbench_pix.randomness import ImageKeys

DIRECTIONS_AT_ONCE = 32
"""Directions of one image in a batch. Changes the last digits, since sums are rounded in this order."""

FIRST_RADIUS = 0.1
"""Radius of the probes around the first point; later ones are a share of the distance."""

HALVINGS = 24
"""Largest number of halvings: float32 resolves no shorter jumps and no nearer points."""


class HopSkipJump(MinimalDistanceAttack):
    """Walks along the boundary, l2 or linf as the entry's ``strength`` says.

    Args:
        steps: number of jumps of each image.
        initial_gradient_queries: directions queried for the first jump; times sqrt(t) for the t-th.
        maximum_gradient_queries: largest number of directions of a jump.
        gamma: widens the search back to the boundary, to gamma / D^1.5 (l2) or gamma / D^2 (linf) of the jump, and the
            radius of the probes with it.
    """

    needs = minimizes("decisions", "any")
    needs_starts = True

    def __init__(
        self,
        steps: int = 64,
        initial_gradient_queries: int = 100,
        maximum_gradient_queries: int = 10_000,
        gamma: float = 1.0,
    ) -> None:
        self.steps = whole("steps", steps, at_least=1)
        self.initial_gradient_queries = whole("initial_gradient_queries", initial_gradient_queries, at_least=1)
        self.maximum_gradient_queries = whole("maximum_gradient_queries", maximum_gradient_queries, at_least=1)
        self.gamma = positive("gamma", gamma)

    @torch.no_grad()
    def minimize(
        self, context: AttackContext, images: Tensor, labels: Tensor, starts: Tensor | None, keys: ImageKeys
    ) -> Tensor:
        """Return the last boundary point of each image."""
        assert starts is not None
        noise = PhiloxNoise(keys, "hop-skip-jump", images.device)
        state = HopSkipJumpState(context.model, images, labels, noise, context.norm, self.gamma)
        found = state.to_boundary(starts)
        for jump in range(1, self.steps + 1):
            if state.oracle.spent():
                break
            directions = min(int(self.initial_gradient_queries * math.sqrt(jump)), self.maximum_gradient_queries)
            found = state.to_boundary(state.jump(found, state.normal(found, jump, directions), jump))
        return found


class HopSkipJumpState:
    """The state and the steps of the algorithm for a batch of images, in one norm."""

    def __init__(
        self, oracle: Oracle, images: Tensor, labels: Tensor, noise: PhiloxNoise, norm: str, gamma: float
    ) -> None:
        self.oracle, self.images, self.labels, self.noise, self.norm = oracle, images, labels, noise, norm
        self.numbers = images[0].numel()
        self.theta = gamma / self.numbers ** (2 if norm == "linf" else 1.5)
        self.halvings = min(max(math.ceil(-math.log2(self.theta)), 1), HALVINGS)
        self.places = torch.arange(len(images), device=images.device)
        self.at_once = QUERIES_AT_ONCE.get(images.device.type, QUERIES_AT_ONCE["cpu"])

    def to_boundary(self, wrong: Tensor) -> Tensor:
        """Return the adversarial point nearest to the image on the way to an adversarial point, by bisection."""
        distance = self.distances(wrong)
        low, high = torch.zeros_like(distance), torch.ones_like(distance)
        for _ in range(self.halvings):
            middle = (low + high) / 2
            fooled = self._fooled(self._between(wrong, middle, distance), self.places)
            low, high = torch.where(fooled, low, middle), torch.where(fooled, middle, high)
        return self._between(wrong, high, distance)

    def _between(self, wrong: Tensor, share: Tensor, distance: Tensor) -> Tensor:
        """Return the point of a share of the distance, (N,): on the line (l2), or ``wrong`` clamped to a box (linf)."""
        share = spread(share)
        if self.norm == "linf":
            radius = share * spread(distance)
            return torch.minimum(torch.maximum(wrong, self.images - radius), self.images + radius)
        return (1 - share) * self.images + share * wrong

    def normal(self, found: Tensor, jump: int, directions: int) -> Tensor:
        """Return the estimated normal of the boundary, towards the adversarial side (equations 9, 15 and 16).

        A mean of random directions, each with the sign of the decision there less the mean sign. Its L2 norm is 1; with
        linf its entries are the signs.
        """
        radius = torch.full_like(self.labels, FIRST_RADIUS, dtype=torch.float32)
        if jump > 1:
            radius = self.distances(found) * self.theta * self.numbers ** (1 if self.norm == "linf" else 0.5)
        groups = self.places.split(self.at_once // DIRECTIONS_AT_ONCE)
        normal = torch.cat([self._normal(found, rows, radius, jump, directions) for rows in groups])
        return normal.sign() if self.norm == "linf" else normal

    def _normal(self, found: Tensor, rows: Tensor, radius: Tensor, jump: int, directions: int) -> Tensor:
        points, radius = found[rows], radius[rows][None, :, None, None, None].clamp(min=1e-12)
        signed, plain, signs = torch.zeros_like(points), torch.zeros_like(points), torch.zeros_like(radius.flatten())
        noise = self.noise.select(rows)
        numbers = torch.arange(directions, device=points.device) + (jump << 32)
        for step in numbers.split(DIRECTIONS_AT_ONCE):
            probes = points + radius * self._directions(noise, step, points.shape)
            probes.clamp_(0, 1)
            fooled = self._fooled(probes.flatten(0, 1), rows.repeat(len(step))).reshape(len(step), -1)
            sign = torch.where(fooled, 1.0, -1.0)
            taken = (probes - points) / radius  # The direction that remains after clamping.
            signed += (sign[:, :, None, None, None] * taken).sum(dim=0)
            plain += taken.sum(dim=0)
            signs += sign.sum(dim=0)
        mean = signs / directions
        mean = mean.masked_fill(mean.abs() == 1, 0.0)  # Where all decisions agree, the mean carries no information.
        normal = signed - spread(mean) * plain
        return normal / spread(lengths(normal)).clamp(min=1e-12)

    def _directions(self, noise: PhiloxNoise, step: Tensor, shape: torch.Size) -> Tensor:
        """Return directions of length 1, float32 (S, N, C, H, W)."""
        drawn = 2 * noise.uniform(step, self.numbers) - 1 if self.norm == "linf" else noise.normal(step, self.numbers)
        return (drawn / torch.linalg.vector_norm(drawn, dim=2, keepdim=True)).reshape(len(step), *shape)

    def jump(self, found: Tensor, normal: Tensor, number: int) -> Tensor:
        """Return the longest adversarial jump, of length distance / sqrt(number), halved until it is adversarial.

        An image without one keeps its point.
        """
        landed, length = found.clone(), self.distances(found) / math.sqrt(number)
        rows = self.places
        for _ in range(HALVINGS):
            tried = (found[rows] + spread(length[rows]) * normal[rows]).clamp_(0, 1)
            fooled = self._fooled(tried, rows)
            landed[rows[fooled]] = tried[fooled]
            rows, length = rows[~fooled], length / 2
            if len(rows) == 0:
                break
        return landed

    def distances(self, points: Tensor) -> Tensor:
        """Return the distances from the images in the attack's norm, (N,)."""
        return distances(points - self.images, self.norm)

    def _fooled(self, queries: Tensor, rows: Tensor) -> Tensor:
        return in_parts(self.oracle, queries, rows).argmax(dim=1) != self.labels[rows]

"""The decision ensemble: several starting points, then walks from the best, of which the worse half is dropped twice.

One query budget for each image: bisection on the lines to images of other classes and to noise, then walks on spheres
from the nearest points. A walk combines published attacks: probes around a
boundary point with the sign of the decision, as in HopSkipJump (arXiv 1904.02144), mostly of low frequencies, as in
GeoDA (arXiv 2003.06468); all at one distance from the image, as in Sign-OPT (arXiv 1909.10773); estimates accumulated
over the rounds with momentum; and a step along the circle through the image and the point, which crosses a flat
boundary at its nearest point, as in SurFree (arXiv 2011.12807). Each walk has its own directions and step lengths and
makes the same number of queries, so nothing depends on the batch.
"""

import torch
from torch import Tensor

from robustbench_pix.attacks.base import AttackContext, MinimalDistanceAttack, Pool
from robustbench_pix.attacks.common.norms import cosines, lengths, spread
from robustbench_pix.attacks.common.philox import PhiloxNoise
from robustbench_pix.attacks.querying.oracle import Oracle, in_parts
from robustbench_pix.attacks.requirements import minimizes, whole
from robustbench_pix.randomness import ImageKeys

PROBES = 24
"""Number of directions of an estimate."""

PROBE_ANGLE = 0.1
"""Angle between a probe and its boundary point, seen from the image, in radians."""

MOMENTUM = 0.9
"""Share of the accumulated estimates that is kept at the next round."""

TURNS = (2.0, 1.0, 0.5, 0.25)
"""Angles tried at once, as multiples of the current one."""

FIRST_TURN, SMALLEST_TURN, LARGEST_TURN = 0.3, 1e-4, 1.0
"""In radians."""

BRACKET_HALVINGS = 3
"""Number of bisections of the bracket in which the boundary is searched on the line to the image."""

FIRST_BRACKET, SMALLEST_BRACKET, LARGEST_BRACKET = 0.05, 1e-3, 0.5
"""Shares of the distance."""

BEND_GAIN, LARGEST_BEND = 0.5, 10.0
"""Rate and limit at which the curvature of the probes' surface follows the boundary, so that half are adversarial."""

CUTOFF = 4.0
"""Frequency, in half waves over the image, above which the probes' amplitudes fall as its inverse."""

QUERIES_A_ROUND = PROBES + len(TURNS) + 1 + BRACKET_HALVINGS

NOTHING = 1e-12


class SphereWalk:
    """The same number of walks on spheres around the image, W, for each of M images.

    Args:
        images: images under attack, float32 in [0, 1], (N, C, H, W); labels int64 (N,).
        rows: rows of the images that walk, int64 (M,).
        points: adversarial starting points of the walks, float32 (W, M, C, H, W).
        noise: the random numbers of these images; all walks of an image get the same.

    Attributes:
        points: the nearest point of each walk so far.
        distances: distances of these, (W, M).
    """

    def __init__(
        self, oracle: Oracle, images: Tensor, labels: Tensor, rows: Tensor, points: Tensor, noise: PhiloxNoise
    ) -> None:
        self.oracle, self.rows, self.noise = oracle, rows, noise
        self.images, self.labels = images[rows], labels[rows]
        self.points, self.distances = points.clone(), _lengths(points - self.images)
        self.heading = torch.zeros_like(points)
        self.turn = torch.full_like(self.distances, FIRST_TURN)
        self.bracket = torch.full_like(self.distances, FIRST_BRACKET)
        self.middle, self.bend = torch.ones_like(self.distances), torch.ones_like(self.distances)
        self.down, self.across = (cosines(size, size, images.device) for size in images.shape[2:])
        height, width = (torch.arange(len(one), device=images.device) for one in (self.down, self.across))
        self.amplitudes = (1 + (height[:, None].square() + width.square()) / CUTOFF**2).rsqrt()
        self.drawn = 0

    def keep(self, chosen: Tensor) -> None:
        """Keep only some of the walks of each image, int64 (walks, M)."""
        images = torch.arange(len(self.rows), device=chosen.device)
        for name in ("points", "distances", "heading", "turn", "bracket", "middle", "bend"):
            setattr(self, name, getattr(self, name)[chosen, images])

    def round(self) -> None:
        """Estimate, turn and come nearer, with ``QUERIES_A_ROUND`` queries of each walk."""
        outward = (self.points - self.images) / _each(self.distances.clamp(min=NOTHING))
        self._estimate(outward)
        self._turn(outward)
        self._approach()

    def _estimate(self, outward: Tensor) -> None:
        """Add to the heading the adversarial direction along the sphere, estimated from the decisions at probes."""
        # A bend of 1 is a plane, one of 0 the sphere.
        radius = self.distances * self.middle * (1 + self.bend * PROBE_ANGLE**2 / 2)
        centres, across = self.images + _each(radius) * outward, _each(self.distances * PROBE_ANGLE)
        # Within [0, 1], and at the radius where that keeps them in [0, 1].
        moved = (centres + across * self._directions(outward)).clamp_(0, 1) - self.images
        probes = (self.images + moved * _each(radius / _lengths(moved).clamp(min=NOTHING))).clamp_(0, 1)
        wrong = self._wrong(probes).float()
        rate = wrong.mean(dim=0)
        taken = (probes - centres) / across.clamp(min=NOTHING)  # The direction that remains after clamping.
        estimate = _orthogonal((_each(wrong - rate) * taken).sum(dim=0), outward)
        self.heading = MOMENTUM * self.heading + estimate
        self.bend = (self.bend + BEND_GAIN * (0.5 - rate)).clamp(-LARGEST_BEND, LARGEST_BEND)

    def _directions(self, outward: Tensor) -> Tensor:
        """Return directions of length 1 along the spheres, mostly of low frequency, float32 (probes, W, M, C, H, W)."""
        steps = torch.arange(self.drawn, self.drawn + PROBES, device=outward.device)
        self.drawn += PROBES
        drawn = self.noise.normal(steps, self.images[0].numel()).reshape(PROBES, 1, *self.images.shape)
        drawn = _orthogonal(self.down.T @ (self.amplitudes * drawn) @ self.across, outward)
        return drawn / _each(_lengths(drawn).clamp(min=NOTHING))

    def _turn(self, outward: Tensor) -> None:
        """Move to the nearest adversarial point on the circle through image and point, in the heading's direction."""
        heading = _orthogonal(self.heading, outward)
        heading = heading / _each(_lengths(heading).clamp(min=NOTHING))
        turns = self.turn * torch.tensor(TURNS, device=outward.device)[:, None, None]
        along, sideways = (self.distances * turns.cos() * part for part in (turns.cos(), turns.sin()))
        tried = (self.images + _each(along) * outward + _each(sideways) * heading).clamp_(0, 1)
        reached = _lengths(tried - self.images)
        reached = reached.masked_fill(~self._wrong(tried) | (reached >= self.distances), torch.inf)
        nearest, which = reached.min(dim=0)
        moves = nearest < torch.inf
        chosen = tried.gather(0, _each(which)[None].expand_as(tried[:1]))[0]
        self.points = torch.where(_each(moves), chosen, self.points)
        self.distances = torch.where(moves, nearest, self.distances)
        turned = turns.gather(0, which.where(moves, torch.full_like(which, len(TURNS) - 1))[None])[0]
        self.turn = turned.clamp(SMALLEST_TURN, LARGEST_TURN)

    def _approach(self) -> None:
        """Search the boundary on the line to the image, in a bracket that grows where it was too small."""
        near, wrong = 1 - self.bracket, torch.ones_like(self.bracket)
        crossed = self._wrong(self._at(near)[None])[0]
        wrong = torch.where(crossed, near, wrong)
        right = torch.where(crossed, (1 - 3 * self.bracket).clamp(min=0), near)
        for _ in range(BRACKET_HALVINGS):
            middle = (right + wrong) / 2
            fooled = self._wrong(self._at(middle)[None])[0]
            wrong, right = torch.where(fooled, middle, wrong), torch.where(fooled, right, middle)
        self.bracket = (self.bracket * torch.where(crossed, 2.0, 1 / 1.3)).clamp(SMALLEST_BRACKET, LARGEST_BRACKET)
        moves = wrong < 1
        self.middle = (right + wrong) / 2 / wrong
        self.points = torch.where(_each(moves), self._at(wrong), self.points)
        self.distances = _lengths(self.points - self.images)

    def _at(self, share: Tensor) -> Tensor:
        return self.images + _each(share) * (self.points - self.images)

    def _wrong(self, queries: Tensor) -> Tensor:
        """Return which of the queries (Q, W, M, C, H, W) are misclassified, bool (Q, W, M)."""
        times = queries.shape[:2].numel()
        answers = in_parts(self.oracle, queries.flatten(0, 2), self.rows.repeat(times)).argmax(dim=1)
        return (answers != self.labels.repeat(times)).reshape(queries.shape[:3])


def _each(values: Tensor) -> Tensor:
    return values[..., None, None, None]


def _lengths(vectors: Tensor) -> Tensor:
    return torch.linalg.vector_norm(vectors, dim=(-3, -2, -1))


def _orthogonal(vectors: Tensor, outward: Tensor) -> Tensor:
    """Return the part of vectors (..., M, C, H, W) orthogonal to unit vectors (W, M, C, H, W)."""
    return vectors - (vectors * outward).sum(dim=(-3, -2, -1), keepdim=True) * outward


STAGES = ((4, 0.16), (2, 0.20), (1, 1.0))
"""Number of walks of an image, and the largest share of the queries that they take together."""


class DecisionEnsemble(MinimalDistanceAttack):
    """Walks from the best of several starting points, and continues with the nearest.

    Args:
        queries: queries of an image, starting points included.
    """

    needs = minimizes("decisions", "l2")

    def __init__(self, queries: int = 5_000) -> None:
        self.queries = whole("queries", queries, at_least=1)

    @torch.no_grad()
    def minimize(
        self, context: AttackContext, images: Tensor, labels: Tensor, starts: Tensor | None, keys: ImageKeys
    ) -> Tensor:
        """Return the nearest adversarial image found for each image; the image itself without an adversarial start."""
        assert context.pool is not None
        oracle, found = context.model, images.clone()
        points, distances = on_lines(oracle, images, labels, keys, context.pool)
        rows = distances.isfinite().any(dim=0).nonzero().flatten()
        if len(rows):
            noise = PhiloxNoise([keys[row] for row in rows.tolist()], "decision-ensemble", images.device)
            points, distances = points[:, rows], distances[:, rows]
            first = _nearest(distances, STAGES[0][0])
            begun = points[first, torch.arange(len(rows), device=rows.device)]
            walk = SphereWalk(oracle, images, labels, rows, begun, noise)
            self._race(walk)
            found[rows] = walk.points[0]
        return found

    def _race(self, walk: SphereWalk) -> None:
        """Run as many rounds of each image's walks as its queries allow, and drop the worse walks in between."""
        left = self.queries - QUERIES_AT_MOST
        for walks, share in STAGES:
            walk.keep(_nearest(walk.distances, walks))
            rounds = min(int(share * self.queries), left) // (walks * QUERIES_A_ROUND)
            for _ in range(rounds):
                if walk.oracle.spent(walk.rows):
                    return
                walk.round()
            left -= rounds * walks * QUERIES_A_ROUND


def _nearest(distances: Tensor, count: int) -> Tensor:
    """Return the rows of the smallest distances (M, N), int64 (count, N); the first again in place of infinite ones."""
    order = distances.argsort(dim=0, stable=True)[:count]
    return torch.where(distances.gather(0, order).isfinite(), order, order[:1])


OTHERS, OTHERS_OF_A_CLASS, NOISES = 8, 2, 2
"""Number of pool images tried, the most of one class among them, and the number of uniform noise images."""

FURTHER_NOISES = 100
"""Largest number of noise images, tried one after the other where all of these fail."""

HALVINGS = 7

QUERIES_AT_MOST = (OTHERS + NOISES) * (1 + HALVINGS)
"""Largest number of queries for the starting points of an image."""


def on_lines(oracle: Oracle, images: Tensor, labels: Tensor, keys: ImageKeys, pool: Pool) -> tuple[Tensor, Tensor]:
    """Return candidates, (candidates, N, C, H, W), and their distances, infinite where one is not adversarial.

    Candidates are the nearest pool images that the model assigns to another class, and Philox noise, more of it
    where none is adversarial; from each the boundary on the line to the image is found by bisection.
    """
    everywhere = torch.arange(len(images), device=images.device)
    noise = PhiloxNoise(keys, "decision-ensemble-starts", images.device)

    def noises(first: int, count: int, rows: Tensor) -> Tensor:
        drawn = noise.select(rows).uniform(torch.arange(first, first + count, device=rows.device), images[0].numel())
        return drawn.reshape(count, len(rows), *images.shape[1:])

    def wrong(points: Tensor, rows: Tensor) -> Tensor:
        return in_parts(oracle, points, rows).argmax(dim=1) != labels[rows]

    candidates = torch.cat([pool.images[nearest_others(images, labels, pool)], noises(0, NOISES, everywhere)])
    fooled = wrong(candidates.flatten(0, 1), everywhere.repeat(len(candidates))).reshape(candidates.shape[:2])
    for number in range(NOISES, FURTHER_NOISES):
        rows = everywhere[~fooled.any(dim=0)]
        if len(rows) == 0:
            break
        candidates[-1, rows] = noises(number, 1, rows)[0]
        fooled[-1, rows] = wrong(candidates[-1, rows], rows)
    far, rows = candidates.flatten(0, 1), everywhere.repeat(len(candidates))
    near, open_ = images[rows], fooled.flatten().nonzero().flatten()
    low, high = torch.zeros_like(far[:, 0, 0, 0]), torch.ones_like(far[:, 0, 0, 0])
    for _ in range(HALVINGS if len(open_) else 0):
        middle = (low + high)[open_] / 2
        there = wrong(_between(near[open_], far[open_], middle), rows[open_])
        high[open_], low[open_] = torch.where(there, middle, high[open_]), torch.where(there, low[open_], middle)
    points = _between(near, far, high)
    distances = lengths(points - near).reshape(fooled.shape).masked_fill(~fooled, torch.inf)
    return points.reshape(candidates.shape), distances


def nearest_others(images: Tensor, labels: Tensor, pool: Pool) -> Tensor:
    """Return for each image the pool rows of the nearest images with another decision, int64 (``OTHERS``, N).

    At most ``OTHERS_OF_A_CLASS`` are of one class; where there are too few, any rows fill the rest.
    """
    apart = torch.cdist(images.flatten(1), pool.images.flatten(1), compute_mode="donot_use_mm_for_euclid_dist")
    apart.masked_fill_(pool.decisions == labels[:, None], torch.inf)
    taken, rows = [], torch.arange(len(images), device=images.device)
    of_class = torch.zeros_like(apart)
    for _ in range(OTHERS):
        place = apart.argmin(dim=1)
        taken.append(place)
        apart[rows, place] = torch.inf
        alike = pool.decisions == pool.decisions[place][:, None]
        of_class += alike
        apart.masked_fill_(of_class >= OTHERS_OF_A_CLASS, torch.inf)
    return torch.stack(taken)


def _between(near: Tensor, far: Tensor, share: Tensor) -> Tensor:
    return near + spread(share) * (far - near)

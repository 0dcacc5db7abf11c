"""The decision ensemble: several starting points, walks from the best of them, and successive halving of the walks.

One query budget for each image: bisection on the lines to images of other classes and to noise, then walks on spheres
from the nearest points (``sphere_walk``), of which the worse half is dropped twice.
"""

import torch
from torch import Tensor

from robustbench_pix.attacks.base import AttackContext, MinimalDistanceAttack, Pool
from robustbench_pix.attacks.common.norms import lengths, spread
from robustbench_pix.attacks.common.philox import PhiloxNoise
from robustbench_pix.attacks.decision.sphere_walk import QUERIES_A_ROUND, SphereWalk
from robustbench_pix.attacks.querying.oracle import Oracle, in_parts
from robustbench_pix.attacks.requirements import minimizes, whole
from robustbench_pix.randomness import ImageKeys

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

    Candidates are the nearest pool images that the model assigns to another class, and noise keyed by image, more of it
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

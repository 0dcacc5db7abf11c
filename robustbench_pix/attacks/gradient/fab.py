"""The targeted fast adaptive boundary attack (FAB-T): Croce and Hein 2020, arXiv 1907.02044.

Each step projects onto the decision boundary of the linearized model, and is biased towards the image. There are no
random numbers, since AutoAttack starts it at the image itself.
"""

import torch
from torch import Tensor
from torch.nn import functional

from robustbench_pix.attacks.common.losses import logit_difference
from robustbench_pix.attacks.common.norms import TINY, distances, spread
from robustbench_pix.attacks.gradient.apgd import ActiveImages

OVERSHOOT = 1.05
"""Factor on a step towards the boundary, so that it is crossed."""

BACK = 0.9
"""Share of the perturbation kept after an adversarial point, to look for a nearer one."""

LARGEST_PULL = 0.1
"""Largest weight of the step from the image; the rest is the weight of the step from the current point."""


def nearest(active: ActiveImages, steps: int, *, near_enough: float) -> tuple[Tensor, Tensor]:
    """Return for each of N images the nearest adversarial point found, and its distance (N,), else infinity.

    Args:
        steps: number of steps, two queries each.
        near_enough: an image with an adversarial at that distance is not queried again.
    """
    found, best = active.ball.images.clone(), torch.full_like(active.labels, torch.inf, dtype=torch.float32)
    places, points = torch.arange(len(found), device=found.device), found.clone()
    for _ in range(steps):
        points = _towards_boundary(active, points)
        images = active.ball.images
        wrong, distance = active.fooled(points), distances(points - images, active.ball.norm)
        nearer = wrong & (distance < best[places])
        found[places[nearer]], best[places[nearer]] = points[nearer], distance[nearer]
        points = torch.where(spread(wrong), images + BACK * (points - images), points)
        stays = best[places] > near_enough
        places, points, active = places[stays], points[stays], active.select(stays)
        if len(places) == 0:
            break
    return found, best


def _towards_boundary(active: ActiveImages, points: Tensor) -> Tensor:
    """Return the next points: equation 9 of the paper, from both the points and the images, (N, C, H, W)."""
    norm, images = active.ball.norm, active.ball.images
    _, differences, gradients = active.uphill(points, logit_difference)
    normals = gradients.flatten(1)
    offsets = differences, differences + (normals * (images - points).flatten(1)).sum(dim=1)
    moves = [
        to_hyperplane(start.flatten(1), normals, offset, norm).reshape(start.shape)
        for start, offset in zip((points, images), offsets, strict=True)
    ]
    way, way_from_image = (distances(move, norm).clamp(min=1e-8) for move in moves)
    pull = spread((way / (way + way_from_image)).clamp(max=LARGEST_PULL))
    ahead, ahead_of_image = points + OVERSHOOT * moves[0], images + OVERSHOOT * moves[1]
    return ((1 - pull) * ahead + pull * ahead_of_image).clamp(0, 1)


def to_hyperplane(points: Tensor, normals: Tensor, offsets: Tensor, norm: str) -> Tensor:
    """Return the smallest moves d (N, D), in ``linf`` or ``l2``, with n.d = -offset and point + d in [0, 1].

    Where no point of the box lies on the hyperplane, the move to the box's nearest corner. Every entry moves against
    the normal, by a common length (linf) or one in proportion to the normal's entry (l2), until it meets its bound; so
    the unknown is one number for each image, at which a sum of entries that grow evenly up to their bounds has a
    given value.

    Args:
        points: float32 in [0, 1], (N, D).
        normals: n, float32 (N, D); its length does not matter.
        offsets: n.(point - a point of the hyperplane), float32 (N,): the sign says on which side the point is.
    """
    scale = normals.abs().amax(dim=1, keepdim=True).clamp(min=TINY)
    slopes, wanted = normals / scale, offsets.abs() / scale[:, 0]
    slopes = torch.where(offsets[:, None] < 0, -slopes, slopes)
    room = torch.where(slopes > 0, points, 1 - points)
    speeds = slopes.abs() if norm == "l2" else torch.ones_like(slopes)
    gains = slopes.abs() * speeds
    # The common number at which each entry meets its bound; one with next to no slope never does, and gains nothing.
    ends = room / speeds.clamp(min=1e-12)
    sorted_ends, order = ends.sort(dim=1)
    sorted_gains = gains.gather(1, order)
    stopped = (sorted_gains * sorted_ends).cumsum(dim=1)
    moving = sorted_gains.flip(1).cumsum(dim=1).flip(1)
    reached = stopped + sorted_ends * functional.pad(moving[:, 1:], (0, 1))
    place = torch.searchsorted(reached, wanted[:, None])[:, 0]
    first = place.clamp(max=reached.shape[1] - 1)[:, None]
    before = (stopped - sorted_gains * sorted_ends).gather(1, first)
    number = (wanted[:, None] - before) / moving.gather(1, first).clamp(min=TINY)
    number = number.masked_fill(place[:, None] == reached.shape[1], torch.finfo(torch.float32).max)
    return -slopes.sign() * torch.minimum(number * speeds, room)

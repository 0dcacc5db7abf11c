"""The fast adaptive boundary attack, aimed at one class (FAB-T): Croce and Hein 2020, arXiv 1907.02044.

Steps to where the model, taken as linear, decides for the target, drawn towards the image more the nearer to the
boundary. It has no random numbers, since AutoAttack begins it at the image itself.
"""

import torch
from torch import Tensor

from robustbench_pix.attacks.geometry import distances, spread
from robustbench_pix.attacks.projections import to_hyperplane
from robustbench_pix.attacks.victims import Victims, logit_difference

OVERSHOOT = 1.05
"""Factor on a step towards the boundary, so that it is crossed."""

BACK = 0.9
"""Share of the perturbation that is kept after a point that fools, to look for a nearer one."""

LARGEST_PULL = 0.1
"""The most that is taken of the step from the image, the rest being of the step from the present point."""


def nearest(victims: Victims, steps: int, *, near_enough: float) -> tuple[Tensor, Tensor]:
    """Return for each of N images the nearest point found that fools, and its distance (N,), infinite where none is.

    Args:
        steps: two queries each.
        near_enough: an image with a point at that distance asks no more.
    """
    found, best = victims.ball.images.clone(), torch.full_like(victims.labels, torch.inf, dtype=torch.float32)
    places, points = torch.arange(len(found), device=found.device), found.clone()
    for _ in range(steps):
        points = _towards_boundary(victims, points)
        images = victims.ball.images
        wrong, distance = victims.fooled(points), distances(points - images, victims.ball.norm)
        nearer = wrong & (distance < best[places])
        found[places[nearer]], best[places[nearer]] = points[nearer], distance[nearer]
        points = torch.where(spread(wrong), images + BACK * (points - images), points)
        stays = best[places] > near_enough
        places, points, victims = places[stays], points[stays], victims.of(stays)
        if len(places) == 0:
            break
    return found, best


def _towards_boundary(victims: Victims, points: Tensor) -> Tensor:
    """Return the next points: equation 9 of the paper, from both the points and the images, (N, C, H, W)."""
    norm, images = victims.ball.norm, victims.ball.images
    _, differences, gradients = victims.uphill(points, logit_difference)
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

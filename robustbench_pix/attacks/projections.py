"""The shortest way from a point to a hyperplane that stays in [0, 1]."""

import torch
from torch import Tensor
from torch.nn import functional

from robustbench_pix.attacks.balls import TINY


def to_hyperplane(points: Tensor, normals: Tensor, offsets: Tensor, norm: str) -> Tensor:
    """Return the smallest moves d (N, D), in ``linf`` or ``l2``, with n.d = -offset and point + d in [0, 1].

    Where no point of the box lies on the hyperplane, the move to the box's nearest corner. Every entry moves against
    the normal, by a common length (linf) or one in proportion to the normal's entry (l2), until it meets its bound; so
    what is sought is one number for each image, at which a sum of entries that grow evenly up to their bounds has a
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

"""Norms, balls and the cosine basis: lengths and projections of perturbations, steepest directions, random points."""

import math
from dataclasses import dataclass, replace
from typing import Self

import torch
from torch import Tensor

from robustbench_pix.attacks.common.philox import PhiloxNoise

RADIUS_TOLERANCE = 1e-6
RADIUS_TOLERANCE_SHARE = 1e-4
"""A radius may be exceeded by the sum of both: more than rounding, and a negligible part of a small radius."""


def lengths(batch: Tensor) -> Tensor:
    """Return the L2 norms (N,) of a batch (N, C, H, W)."""
    return torch.linalg.vector_norm(batch.flatten(1), dim=1)


def spread(values: Tensor) -> Tensor:
    """Give values (N,) the shape (N, 1, 1, 1)."""
    return values[:, None, None, None]


def distances(moved: Tensor, norm: str) -> Tensor:
    """Return the norms (N,) of perturbations (N, C, H, W) in ``linf`` or ``l2``."""
    return torch.linalg.vector_norm(moved.flatten(1), ord=2 if norm == "l2" else torch.inf, dim=1)


def reach(radius: float) -> float:
    """Return the radius plus a numerical tolerance."""
    return radius + RADIUS_TOLERANCE + RADIUS_TOLERANCE_SHARE * radius


TINY = torch.finfo(torch.float32).tiny
"""Prevents 0 / 0."""


@dataclass(frozen=True)
class Ball:
    """The points within a radius of each of N images, and in [0, 1].

    Attributes:
        images: the centres, float32 in [0, 1], (N, C, H, W).
        norm: ``linf`` or ``l2``.
    """

    images: Tensor
    radius: float
    norm: str

    def select(self, rows: Tensor) -> Self:
        """Return the balls of some of the images: int64 (M,), or bool (N,)."""
        return replace(self, images=self.images[rows])

    def project(self, points: Tensor) -> Tensor:
        """Return the points of the ball nearest to these, (N, C, H, W), then clamped to [0, 1]."""
        if self.norm == "linf":
            return torch.minimum(torch.maximum(points, self.images - self.radius), self.images + self.radius).clamp(
                0, 1
            )
        moved = points - self.images
        shrink = (self.radius / lengths(moved).clamp(min=TINY)).clamp(max=1)
        return (self.images + moved * spread(shrink)).clamp(0, 1)

    def inside(self, noise: PhiloxNoise, step: int) -> Tensor:
        """Return a random point of each ball, uniform in it before it is clamped to [0, 1]."""
        steps, entries = torch.tensor([step], device=self.images.device), self.images[0].numel()
        if self.norm == "linf":
            moved = 2 * noise.uniform(steps, entries)[0] - 1
        else:
            # A point of the sphere with two more dimensions, without these, is uniform in the ball (Voelker 2017).
            normal = noise.normal(steps, entries + 2)[0]
            moved = (normal / torch.linalg.vector_norm(normal, dim=1, keepdim=True))[:, :entries]
        return (self.images + self.radius * moved.reshape(self.images.shape)).clamp(0, 1)

    def surface(self, noise: PhiloxNoise, step: int) -> Tensor:
        """Return a random point on the surface of each ball, clamped to [0, 1].

        As AutoAttack draws it: uniform numbers (linf) or normal ones (l2) over their norm.
        """
        steps, entries = torch.tensor([step], device=self.images.device), self.images[0].numel()
        if self.norm == "linf":
            moved = 2 * noise.uniform(steps, entries)[0] - 1
            moved = moved / moved.abs().amax(dim=1, keepdim=True)
        else:
            moved = noise.normal(steps, entries)[0]
            moved = moved / torch.linalg.vector_norm(moved, dim=1, keepdim=True)
        return (self.images + self.radius * moved.reshape(self.images.shape)).clamp(0, 1)


def steepest(gradients: Tensor, norm: str) -> Tensor:
    """Return the directions of length 1 in a norm along which a linear function rises most, (N, C, H, W).

    Signs for ``linf``, unit vectors for ``l2``; 0 where the gradient is.
    """
    if norm == "linf":
        return gradients.sign()
    # Gradients of a confident network may be so small that their squares underflow in float32.
    scaled = gradients / gradients.abs().amax(dim=(1, 2, 3), keepdim=True).clamp(min=TINY)
    return scaled / spread(lengths(scaled)).clamp(min=TINY)


def cosines(length: int, frequencies: int, device: torch.device) -> Tensor:
    """Return the lowest frequencies of the orthonormal DCT-II of a length, float32 (frequencies, length).

    Row u is cos(pi u (2 i + 1) / (2 length)), scaled to an L2 norm of 1.
    """
    # In float64 on the CPU, since some devices have no float64.
    frequency = torch.arange(min(frequencies, length), dtype=torch.float64)[:, None]
    place = torch.arange(length, dtype=torch.float64)
    waves = torch.cos(math.pi * frequency * (2 * place + 1) / (2 * length))
    return (waves / torch.linalg.vector_norm(waves, dim=1, keepdim=True)).float().to(device)

"""Probe models of the conformance tests, with a BatchNorm and logits that do not depend on the batch."""

from abc import ABC, abstractmethod

import torch
from torch import Tensor, nn

from robustbench_pix.errors import JobFailedError

SIDE, CLASSES = 8, 4


class ProbeModel(nn.Module, ABC):
    """Base: logits through a BatchNorm that is the identity in eval mode; with too many queries it ends the attack."""

    limit = 20_000

    def __init__(self) -> None:
        super().__init__()
        self.normalization = nn.BatchNorm1d(CLASSES)
        self.calls = 0

    @abstractmethod
    def logits(self, images: Tensor) -> Tensor:
        """Return the logits (N, classes)."""

    def forward(self, images: Tensor) -> Tensor:
        """Return the logits (N, classes).

        Raises:
            JobFailedError: the model was queried more than ``limit`` times.
        """
        self.calls += 1
        if self.calls > self.limit:
            raise JobFailedError(f"it queried the model more than {self.limit} times and did not end")
        normalized: Tensor = self.normalization(self.logits(images))
        return normalized


class QuadraticClassifier(ProbeModel):
    """Quadratic logits with a center and a steepness for each class, so that boundaries are curved."""

    def __init__(self, channels: int, seed: int) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(seed)
        self.centers = nn.Parameter(0.3 + 0.4 * torch.rand(CLASSES, channels * SIDE * SIDE, generator=generator))
        self.steepness = nn.Parameter(0.9 + 0.2 * torch.rand(CLASSES, generator=generator))

    def logits(self, images: Tensor) -> Tensor:
        """Return minus the squared distances from the centers."""
        return -self.steepness * (images.flatten(1)[:, None] - self.centers).square().sum(dim=2)


class ConstantClassifier(ProbeModel):
    """Predicts class 0 for every image, with a zero gradient."""

    def logits(self, images: Tensor) -> Tensor:
        """Return logits that do not depend on the images."""
        first = torch.eye(CLASSES, device=images.device)[0]
        return first + 0 * images.flatten(1).sum(dim=1, keepdim=True)


class IslandClassifier(ProbeModel):
    """Class 1 near one image, class 0 elsewhere: noise fools it on that image, and on no other."""

    def __init__(self, center: Tensor, radius: float = 0.3) -> None:
        super().__init__()
        self.center, self.radius = nn.Parameter(center.flatten()), radius

    def logits(self, images: Tensor) -> Tensor:
        """Return 0 for class 0, and for class 1 the squared radius minus the squared distance."""
        near = self.radius**2 - (images.flatten(1) - self.center).square().sum(dim=1)
        nothing = torch.zeros_like(near)
        return torch.stack([nothing, near, nothing - 100, nothing - 100], dim=1)

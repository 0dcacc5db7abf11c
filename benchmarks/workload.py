"""The work on which ways are compared: generated pictures of CIFAR-10's shape, so that nothing is downloaded."""

from dataclasses import dataclass
from functools import lru_cache

import torch
from torch import Tensor, nn
from torch.nn import functional

from robustbench_pix.catalogue.specs import TrainingSpec
from robustbench_pix.data.base import to_gray
from robustbench_pix.networks.building import build_network
from robustbench_pix.recipes.contract import RecipeContext
from robustbench_pix.regularizers.base import Regularizer
from robustbench_pix.regularizers.similarity_regularizer import SimilarityRegularizer
from robustbench_pix.runs.training_job import feature_shapes

CLASSES = 10
COARSE_SIDE = 4
NOISE = 0.1
SCALING = {"scale": 5.0, "shift": 0.5}
ALPHA, THRESHOLD = 10.0, 0.8
LEARNING_RATE = 0.01
"""A tenth of the paper's: generated pictures and a few steps; it changes no time."""

CIFAR_EPOCHS, CIFAR_STEPS = 40, 774
CIFAR_TRAIN, CIFAR_VALIDATION, CIFAR_TEST = 49_500, 500, 10_000
"""Of CIFAR-10 in batches of 64, where 1% of the training images validate."""


@dataclass(frozen=True)
class Work:
    """A regularized training: ``steps`` an epoch of ``batch`` task images and ``pairs`` pairs of images."""

    network: str = "resnet18"
    width: int = 16
    side: int = 32
    batch: int = 64
    pairs: int = 16
    steps: int = 10
    regularization_images: int = 2000

    @property
    def images_a_step(self) -> int:
        """Images that pass through the network in a step."""
        return self.batch + 2 * self.pairs

    def spec(self, epochs: int) -> TrainingSpec:
        """Return the training protocol, the paper's but for the learning rate."""
        return TrainingSpec(
            epochs=epochs,
            batch_size=self.batch,
            augmentation="crop-and-flip",
            learning_rate=LEARNING_RATE,
            regularization_images=self.regularization_images,
        )

    def fresh_network(self, seed: int) -> nn.Module:
        """Return an untrained network for gray pictures."""
        return build_network(
            self.network, None, {"width": self.width, **SCALING}, channels=1, classes=CLASSES, seed=seed
        )

    def regularizer(self, network: nn.Module, images: Tensor, seed: int) -> Regularizer:
        """Return the paper's regularizer with its thresholded target on images uint8 (N, 1, H, W)."""
        setting = RecipeContext(images, feature_shapes(network, images, "cpu"), seed)
        return SimilarityRegularizer(setting, target="thresholded", threshold=THRESHOLD, pairs=self.pairs)


TINY = Work(network="small", width=4, side=8, batch=8, pairs=2, steps=4, regularization_images=20)


@lru_cache(maxsize=8)
def pictures(count: int, side: int, seed: int) -> tuple[Tensor, Tensor]:
    """Return pictures uint8 (N, 3, side, side) of ten smooth patterns in noise, and their labels int64 (N,)."""
    generator = torch.Generator().manual_seed(seed)
    coarse = torch.rand(CLASSES, 3, COARSE_SIDE, COARSE_SIDE, generator=torch.Generator().manual_seed(0))
    patterns = functional.interpolate(coarse, size=(side, side), mode="bilinear")
    labels = torch.randint(CLASSES, (count,), generator=generator)
    parts = []
    for part in labels.split(1000):  # all at once would take gigabytes
        noise = NOISE * torch.randn(len(part), 3, side, side, generator=generator)
        parts.append((patterns[part] + noise).clamp(0, 1).mul(255).byte())
    return torch.cat(parts), labels


def gray_pictures(count: int, side: int, seed: int) -> tuple[Tensor, Tensor]:
    """Return the same pictures in gray, uint8 (N, 1, side, side), and their labels."""
    images, labels = pictures(count, side, seed)
    return to_gray(images), labels

"""Data, networks and regularizers that train in a moment."""

import numpy as np
import torch

from robustbench_pix.catalogue.specs import TrainingSpec
from robustbench_pix.networks.building import build_network
from robustbench_pix.recipes.contract import RecipeContext
from robustbench_pix.regularizers.similarity_regularizer import SimilarityRegularizer
from robustbench_pix.training.batches import TrainingData

GENERATOR = np.random.default_rng(0)
DATA = TrainingData(
    images=torch.from_numpy(GENERATOR.integers(0, 256, (150, 1, 8, 8), dtype=np.uint8)),
    labels=torch.from_numpy(GENERATOR.integers(0, 10, 150)),
    validation_images=torch.from_numpy(GENERATOR.integers(0, 256, (40, 1, 8, 8), dtype=np.uint8)),
    validation_labels=torch.from_numpy(GENERATOR.integers(0, 10, 40)),
    regularization_images=torch.from_numpy(GENERATOR.integers(0, 256, (30, 1, 8, 8), dtype=np.uint8)),
)
SPEC = TrainingSpec(epochs=3, learning_rate=0.05, decay_every=2, restart_every=20)


def network(seed=0):
    return build_network("small", None, {"width": 4}, channels=1, classes=10, seed=seed)


def setting():
    shapes = tuple(tap.shape[1:] for tap in network().eval().features(torch.zeros(1, 1, 8, 8)))
    return RecipeContext(DATA.regularization_images, shapes, seed=0)


def similarity(**parameters):
    return SimilarityRegularizer(setting(), **{"target": "thresholded", "threshold": 0.2, **parameters})

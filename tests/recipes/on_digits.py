"""A network trained on digits for a moment, on which what recipes do has a size."""

import copy
from functools import cache
from pathlib import Path

from robustbench_pix.catalogue.specs import TrainingSpec
from robustbench_pix.data.digits import digits
from robustbench_pix.networks.building import build_network
from robustbench_pix.recipes.contract import Batch
from robustbench_pix.training.batches import TrainingData
from robustbench_pix.training.loop import train

SOURCE = digits(Path(), colour="gray")
DATA = TrainingData(
    SOURCE.train_images, SOURCE.train_labels, SOURCE.test_images[:50], SOURCE.test_labels[:50], SOURCE.train_images[:0]
)
BATCH = Batch(SOURCE.test_images[:100] / 255, SOURCE.test_labels[:100])
"""Fixed, and never trained on."""


def trained(recipe=None, epochs=1, alpha=1.0):
    """Return a network after a number of epochs on digits, in eval mode, without gradients."""
    network = build_network("small", None, {"width": 8}, channels=1, classes=10, seed=0)
    spec = TrainingSpec(epochs=epochs, learning_rate=0.05)
    train(network, recipe, DATA, spec, seed=0, alpha=alpha, device="cpu")
    network.zero_grad(set_to_none=True)
    return network.eval()


@cache
def _unregularized(epochs):
    return trained(epochs=epochs)


def unregularized(epochs=1):
    """Return an unregularized network; the caller may change it."""
    return copy.deepcopy(_unregularized(epochs))

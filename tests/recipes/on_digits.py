"""A network trained on digits for a moment, on which what recipes do has a size."""

import copy
from functools import cache
from pathlib import Path

from robustbench_pix.catalogue.specs import TrainingSpec
from robustbench_pix.data.digits import digits
from robustbench_pix.networks.building import build_network
from robustbench_pix.recipes.contract import Batch, RecipeContext, Step
from robustbench_pix.recipes.tools import Tools
from robustbench_pix.training.batches import TrainingData
from robustbench_pix.training.loop import train

SOURCE = digits(Path(), colour="gray")
DATA = TrainingData(
    SOURCE.train_images, SOURCE.train_labels, SOURCE.test_images[:50], SOURCE.test_labels[:50], SOURCE.train_images[:0]
)
BATCH = Batch(SOURCE.test_images[:100] / 255, SOURCE.test_labels[:100])
"""Fixed, and never trained on."""


CONTEXT = RecipeContext(DATA.regularization_images, (), 0, None, "digits", 10, -(-len(DATA.images) // 64), 1)


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


def tools_of(network):
    """Return the tools of a training of a network on digits, of its own type."""
    dtype = next(network.parameters()).dtype
    images = {"task": DATA.images, "regularization": DATA.regularization_images}
    return Tools(network, images, lambda images: images.to(dtype) / 255, 0, DATA.labels)


def step_of(recipe, network, batch=BATCH, tools=None):
    """Return the step that a recipe sees of a batch, in eval mode."""
    tools = tools or tools_of(network)
    recipe.begin(0, tools)
    batch = recipe.batch(batch, tools)
    images = batch.images.detach().requires_grad_()
    weights = {name: value for name, value in network.named_parameters() if value.ndim > 1}
    logits = network.eval()(images)
    return Step(logits=logits, targets=batch.targets, images=images, views=batch.views, weights=weights)


def penalty_of(recipe, network, batch=BATCH):
    """Return the penalty of a network on a batch, in eval mode, a number."""
    return float(recipe.penalty(step_of(recipe, network, batch)).detach())

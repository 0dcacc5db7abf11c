"""A few numbers of the engine, kept: whoever changes one raises NUMERICS_VERSION and writes the new ones here.

They are means over a whole training or attack, compared with a tolerance, since the last digits belong to a processor.
"""

import numpy as np
import pytest
import torch

from robustbench_pix.catalogue.specs import TrainingSpec
from robustbench_pix.data.digits import digits
from robustbench_pix.identity import NUMERICS_VERSION
from robustbench_pix.networks.building import build_network
from robustbench_pix.randomness import key_integer, stream
from robustbench_pix.recipes.contract import RecipeContext
from robustbench_pix.regularizers.similarity_regularizer import SimilarityRegularizer
from robustbench_pix.training.batches import TrainingData
from robustbench_pix.training.loop import train

GOLDEN = {"version": 3, "task_loss": 1.86356, "penalty": 22.6728, "validation_loss": 1.87322}


def test_streams():
    assert key_integer("order", 0, 1, bits=32) == 412732911
    assert stream("order", 0, 0).permutation(6).tolist() == [5, 0, 2, 4, 3, 1]
    noise = stream("gaussian-noise", 0, "digits", 7, 0).standard_normal(3, dtype=np.float32)
    np.testing.assert_allclose(noise, [-0.53175324, 1.9238396, -0.26934388], rtol=1e-6)


def test_a_short_training(tmp_path):
    data = digits(tmp_path, colour="gray")
    network = build_network("small", None, {"width": 4}, channels=1, classes=10, seed=0)
    images = data.train_images[:200]
    shapes = tuple(tap.shape[1:] for tap in network.eval().features(images[:1] / 255))
    regularizer = SimilarityRegularizer(RecipeContext(images, shapes, 0), target="thresholded", threshold=0.4)
    parts = TrainingData(
        data.train_images[:320], data.train_labels[:320], data.validation_images, data.validation_labels, images
    )
    spec = TrainingSpec(epochs=2, learning_rate=0.05)
    log = train(network, regularizer, parts, spec, seed=0, alpha=0.1, device="cpu").log
    assert GOLDEN["version"] == NUMERICS_VERSION
    got = {name: log[-1][name] for name in GOLDEN if name != "version"}
    assert got == pytest.approx({name: GOLDEN[name] for name in got}, rel=1e-3)
    assert torch.isfinite(network.linear.weight).all()

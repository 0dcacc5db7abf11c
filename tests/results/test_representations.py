"""What stored networks see: S^CNN against numpy on tiny networks, and what is refused."""

import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from safetensors.torch import save

from robustbench_pix import load_model, run
from robustbench_pix.catalogue.workspace import Workspace
from robustbench_pix.data.digits import digits
from robustbench_pix.errors import UserError
from robustbench_pix.networks.resnet import small
from robustbench_pix.results.representations import (
    layer_weights,
    measure_similarities,
    network_similarity,
    trained_models,
)
from robustbench_pix.runs.store import Store
from tests.workspaces import TASK, tiny_workspace

COVERED = np.random.default_rng(2).permutation(40)[:25]
"""The regularization images of which the neural file says something, in the order of its rows."""

NEURAL = """\
summary = "Similarities of neurons"
regularizer = "similarity"

[parameters]
target = "neural"
alpha = 0.1
similarity = "neurons.npy"
order = "rows.npy"
"""


def in_numpy(network, images, chosen, weights):
    """Return S^CNN once more: every map minus the mean of its channel over all images, cosines, weighted mean."""
    with torch.no_grad():
        layers = [layer.double().numpy() for layer in network.eval().features(images.float() / 255)]
    total = np.zeros((len(chosen), len(chosen)))
    for layer, weight in zip(layers, weights, strict=True):
        centred = layer - layer.mean(axis=(0, 2, 3), keepdims=True)
        for row, i in enumerate(chosen):
            for column, j in enumerate(chosen):
                a, b = centred[i].ravel(), centred[j].ravel()
                total[row, column] += weight * (a @ b) / np.sqrt((a @ a) * (b @ b))
    return total


def pixels_in_numpy():
    """Return S^pixel of the 40 images that regularize the tiny task."""
    flat = regularizing().double().numpy().reshape(40, -1)
    flat -= flat.mean(axis=0)
    flat /= np.linalg.norm(flat, axis=1, keepdims=True)
    return flat @ flat.T


@pytest.mark.parametrize("weights", [None, [0.1, 0.2, 0.3, 0.4]])
def test_similarities_of_networks_against_numpy(weights):
    torch.manual_seed(0)
    network = small(channels=1, classes=10, width=2)
    images = torch.randint(0, 256, (130, 1, 8, 8), dtype=torch.uint8)
    network.train()(images.float() / 255)  # so that BatchNorm's statistics are not those of the start
    chosen = torch.tensor([3, 0, 119])
    found = network_similarity(network, weights, images, chosen, "cpu")
    np.testing.assert_allclose(found, in_numpy(network, images, chosen, weights or [0.25] * 4), atol=2e-6)


def test_weights_of_layers_are_those_of_the_epoch_that_was_kept(tmp_path):
    (tmp_path / "weights.safetensors").write_bytes(save({"a": torch.zeros(1)}, metadata={"best_epoch": "10"}))
    log = tmp_path / "log.csv"
    others = "".join(f"{epoch},3,.5,.5\n" for epoch in range(1, 10))
    log.write_text(f"epoch,task_loss,layer_weight_0,layer_weight_1\n{others}10,2,.25,.75\n11,1,.1,.9\n")
    assert layer_weights(tmp_path) == [0.25, 0.75]
    log.write_text("epoch,task_loss\n9,3\n10,2\n11,1\n")
    assert layer_weights(tmp_path) is None


@pytest.fixture(scope="module")
def made(tmp_path_factory, finished_jobs):
    """Give a workspace with two seeds of four recipes, two of which are given similarities of neurons."""
    folder = tiny_workspace(tmp_path_factory.mktemp("made"))
    (folder / "attacks/suites/noise.toml").write_text('version = 1\nsummary = "Noise"\nattacks = ["gaussian"]\n')
    (folder / "models/neural.toml").write_text(NEURAL)
    (folder / "models/shuffled-neural.toml").write_text(NEURAL + "shuffled = true\n")
    values = np.random.default_rng(3).uniform(-1, 1, (25, 25))
    np.save(folder / "models/neurons.npy", (values + values.T) / 2)
    np.save(folder / "models/rows.npy", COVERED)
    options = {"on": "tiny", "suite": "noise", "executor": "inline", "device": "cpu", "workspace": folder}
    return folder, run(recipes=["unregularized", "thresholded", "neural", "shuffled-neural"], seeds=2, **options)


def measured(folder, measurements, recipes=("unregularized", "thresholded", "neural")):
    ((block, models),) = trained_models(measurements[measurements["recipe"].isin(recipes)])
    return measure_similarities(block, models, Store(folder / "runs"), Workspace(folder), None, "cpu"), models


def regularizing():
    return digits(Path(), colour="gray").train_images[:40]


def test_stored_models_are_asked_with_their_own_weights(made):
    folder, measurements = made
    found, models = measured(folder, measurements, ("unregularized", "thresholded"))
    assert {recipe: list(seeds) for recipe, seeds in found.networks.items()} == {
        "unregularized": [0, 1],
        "thresholded": [0, 1],
    }
    assert found.targets == {}
    images = regularizing()
    for row in models.itertuples():
        place = folder / f"runs/train-{row.model_id}"
        weights = layer_weights(place)
        assert (weights is None) == (row.recipe == "unregularized")
        expected = in_numpy(load_model(place), images, range(40), weights or [0.25] * 4)
        np.testing.assert_allclose(found.networks[row.recipe][row.seed], expected, atol=2e-6)
    np.testing.assert_allclose(found.pixel, pixels_in_numpy(), atol=1e-12)


def test_a_neural_target_is_that_of_its_file_and_chooses_the_images_that_it_knows(made):
    folder, measurements = made
    found, models = measured(folder, measurements)
    known = np.sort(COVERED)
    rows = [list(COVERED).index(image) for image in known]
    expected = np.load(folder / "models/neurons.npy")[np.ix_(rows, rows)]
    np.testing.assert_allclose(found.targets["neural"], expected, atol=1e-12)
    np.testing.assert_allclose(found.pixel, pixels_in_numpy()[np.ix_(known, known)], atol=1e-12)
    first = models[(models["recipe"] == "neural") & (models["seed"] == 0)].iloc[0]
    network = load_model(folder / f"runs/train-{first['model_id']}")
    weights = layer_weights(folder / f"runs/train-{first['model_id']}")
    np.testing.assert_allclose(
        found.networks["neural"][0], in_numpy(network, regularizing(), known, weights), atol=2e-6
    )


def test_a_shuffled_target_is_none(made):
    found, _ = measured(*made, ("neural", "shuffled-neural"))
    assert set(found.networks) == {"neural", "shuffled-neural"}
    assert set(found.targets) == {"neural"}


def test_a_neural_target_that_is_gone_or_changed_is_left_out_and_said(made, tmp_path):
    folder, measurements = made
    kept = tmp_path / "neurons.npy"
    shutil.move(folder / "models/neurons.npy", kept)
    try:
        found, _ = measured(folder, measurements)
        assert "does not exist" in found.left_out[0]
        assert found.targets == {}
        assert len(found.pixel) == 40
        np.save(folder / "models/neurons.npy", np.load(kept) * 0.5)
        assert measured(folder, measurements)[0].left_out == [
            "The target of neural: Its file has changed since the training."
        ]
    finally:
        shutil.copy(kept, folder / "models/neurons.npy")


def test_other_images_than_those_of_the_training_are_refused(made):
    folder, measurements = made
    task = folder / "models/tasks/tiny.toml"
    task.write_text(TASK.replace("regularization_images = 40", "regularization_images = 39"))
    try:
        with pytest.raises(UserError, match=r"^The images tiny are not those that its models were trained with\.$"):
            measured(folder, measurements, ("unregularized", "thresholded"))
    finally:
        task.write_text(TASK)


def test_at_most_a_hundred_images_are_compared(made):
    folder, measurements = made
    (folder / "models/tasks/tiny.toml").write_text(
        TASK.replace("regularization_images = 40", "regularization_images = 150")
    )
    try:
        found, _ = measured(folder, measurements, ("unregularized",))
    finally:
        (folder / "models/tasks/tiny.toml").write_text(TASK)
    assert found.pixel.shape == found.networks["unregularized"][0].shape == (100, 100)
    assert pd.notna(found.pixel).all()

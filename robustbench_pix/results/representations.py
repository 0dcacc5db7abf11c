"""The similarities that stored networks see in their regularization images; here models are loaded, with torch."""

import csv
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from safetensors import safe_open
from torch import Tensor, nn
from torch.nn import functional

from robustbench_pix.catalogue.regularizer_parameters import SimilarityParameters
from robustbench_pix.catalogue.workspace import Workspace
from robustbench_pix.data.base import ImageData
from robustbench_pix.devices import arithmetic
from robustbench_pix.errors import UserError
from robustbench_pix.networks.building import features
from robustbench_pix.regularizers.neural import file_digest, neural_similarity
from robustbench_pix.regularizers.similarity import pixel_similarity
from robustbench_pix.results.similarities import Matrix, Similarities
from robustbench_pix.runs.jobs import images_context, load_regularization_images, optional_path
from robustbench_pix.runs.store import WEIGHTS, Store
from robustbench_pix.runs.training_job import LOG, trained_network

IMAGES = 100
"""As many as in the paper's figure: 4,950 pairs."""

BATCH = 100


def measure_similarities(
    block: "pd.Series[str]",
    models: pd.DataFrame,
    store: Store,
    catalogue: Workspace,
    data_root: Path | None,
    device: str,
) -> Similarities:
    """Return the similarities of a combination's first 100 regularization images, as its models see them.

    Where the file of a neural target says nothing of some images, the first 100 of which it does are taken.

    Args:
        block: what the models share.
        models: ``recipe``, ``seed`` and ``model_id``, as ``trained_models`` returns them; at least one, none damaged.
        store: where their runs are.
        catalogue: whose task says how many images regularize.
        data_root: where data sets lie now, or None where they lay.
        device: where the networks are asked.

    Raises:
        UserError: the images are not there or not those of the training.
    """
    rows = models[["recipe", "seed", "model_id"]].itertuples(index=False, name=None)
    runs = {(str(recipe), int(seed)): f"train-{model}" for recipe, seed, model in rows}
    specs = {recipe: store.spec(run) for (recipe, _), run in runs.items()}
    images = _images(block, list(specs.values()), catalogue, data_root)
    targets: dict[str, Tensor] = {}
    left_out = []
    for recipe in (recipe for recipe, spec in specs.items() if _is_neural(spec)):
        try:
            targets[recipe] = _target(specs[recipe], len(images))
        except UserError as error:
            left_out.append(f"The target of {recipe}: {error}")
    known = torch.ones(len(images), dtype=torch.bool)
    for target in targets.values():
        known &= ~target.diagonal().isnan()
    chosen = known.nonzero().flatten()[:IMAGES]
    square = chosen[:, None], chosen[None, :]
    networks: dict[str, dict[int, Matrix]] = {}
    for (recipe, seed), run in runs.items():
        network, weights = trained_network(store, run), layer_weights(store.folder(run))
        networks.setdefault(recipe, {})[seed] = network_similarity(network, weights, images, chosen, device)
    of_targets = {recipe: target[square].numpy() for recipe, target in targets.items()}
    return Similarities(block, pixel_similarity(images)[square].numpy(), networks, of_targets, left_out)


@torch.no_grad()
def network_similarity(
    network: nn.Module, weights: list[float] | None, images: Tensor, chosen: Tensor, device: str
) -> Matrix:
    """Return S^CNN of every pair of some images, (chosen, chosen), as a trained network sees them in eval mode.

    As in training, but that each channel is centred by its mean over all images and positions, which the running mean
    of the training only estimates: cosine similarity of the flattened maps, layer by layer, then the weighted mean.

    Args:
        network: with ``features``.
        weights: of the layers, with sum 1; equal where None.
        images: all that regularize, uint8 (N, C, H, W).
        chosen: the numbers of the images to compare.
        device: where the network is asked, in float32; the rest is done in float64 on the CPU.
    """

    def maps_of(some: Tensor) -> list[Tensor]:
        return features(network, some.to(device).float() / 255)

    network = network.eval().to(device)
    with arithmetic("float32"):
        batches = [[maps.mean(dim=(2, 3)).cpu().double() for maps in maps_of(some)] for some in images.split(BATCH)]
        compared = [maps.cpu().double() for maps in maps_of(images[chosen])]
    similarities = []
    for maps, means in zip(compared, zip(*batches, strict=True), strict=True):
        unit = functional.normalize((maps - torch.cat(means).mean(dim=0)[:, None, None]).flatten(1), dim=1)
        similarities.append((unit @ unit.T).clamp(-1.0, 1.0))
    shares = [1 / len(similarities)] * len(similarities) if weights is None else weights
    return np.tensordot(shares, torch.stack(similarities).numpy(), axes=1)


def layer_weights(folder: Path) -> list[float] | None:
    """Return softmax(gamma) of the epoch whose network a training kept; None where the recipe learned none."""
    with safe_open(folder / WEIGHTS, "pt") as file:
        best = file.metadata()["best_epoch"]
    with (folder / LOG).open(newline="", encoding="utf-8") as file:
        row = next(row for row in csv.DictReader(file) if row["epoch"] == best)
    return [float(value) for name, value in row.items() if name.startswith("layer_weight_")] or None


def _images(
    block: "pd.Series[str]", specs: list[dict[str, Any]], catalogue: Workspace, data_root: Path | None
) -> Tensor:
    """Return the regularization images, and refuse others than those that the models were trained with."""
    task = catalogue.task(block["task"]).at_size(block["size"])
    root = data_root or Path(specs[0]["context"]["data"]["root"])
    context = images_context(block["images"], catalogue, root, block["colour"])
    images: Tensor = load_regularization_images({**context, "count": task.training.regularization_images})
    added = [spec["identity"]["regularization"] for spec in specs]
    if {one["images"] for one in added if one} - {ImageData(images).digest}:
        raise UserError(f"The images {block['images']} are not those that its models were trained with.")
    return images


def _is_neural(spec: dict[str, Any]) -> bool:
    """Return whether a training pulled towards similarities of neurons; those of a shuffled target are no target."""
    added = spec["identity"]["regularization"]
    if added is None or added["regularizer"] != "similarity":
        return False
    return bool(added["parameters"]["target"] == "neural" and not added["parameters"]["shuffled"])


def _target(spec: dict[str, Any], images: int) -> Tensor:
    """Return the neural target of a training, (images, images) float64, NaN where its file says nothing."""
    parameters = SimilarityParameters(**spec["context"]["parameters"])
    folder = optional_path(spec["context"]["recipe_folder"])
    target = neural_similarity(parameters, folder, images)
    if file_digest(parameters, folder) != spec["identity"]["regularization"]["files"]:
        raise UserError("Its file has changed since the training.")
    return target

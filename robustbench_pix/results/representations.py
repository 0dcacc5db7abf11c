"""The similarities that stored networks see in their regularization data; here models are loaded, with torch."""

import csv
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from safetensors import safe_open
from torch import Tensor, nn
from torch.nn import functional

from robustbench_pix.catalogue.regularizer_parameters import SimilarityParameters
from robustbench_pix.catalogue.workspace import FOLDERS, Workspace
from robustbench_pix.data.base import ImageData
from robustbench_pix.data.preparation import RegularizationData
from robustbench_pix.devices import arithmetic
from robustbench_pix.errors import UserError
from robustbench_pix.networks.building import features
from robustbench_pix.regularizers.neural import file_digest, neural_similarity
from robustbench_pix.regularizers.similarity import pixel_similarity
from robustbench_pix.results.columns import SETTING, integer, number, row_keys, text
from robustbench_pix.runs.job import TrainingJob, recorded_job
from robustbench_pix.runs.locations import data_root_of, images_location, load_regularization_data
from robustbench_pix.runs.request import EXTERNAL_SEED
from robustbench_pix.runs.store import LOG, WEIGHTS, Store
from robustbench_pix.runs.training_job import trained_network

Matrix = NDArray[np.float64]

COMBINATION = [name for name in SETTING if name not in ("suite", "suite_version", "protocol")]
"""What models must share to be compared; no suite matters to a similarity."""

CORRELATIONS = (
    *(text(name, "As in measurements.csv") for name in COMBINATION),
    text("recipe", "Whose networks, or whose neural target"),
    integer("seed", "Of the network; empty for a target, which has none"),
    text("similarity", "S^CNN, of a network, or S^target, of a neural target"),
    integer("images_compared", "The first so many images of the regularization data; every pair of them counts"),
    number("correlation", "Pearson's r with S^pixel over the pairs; empty where a similarity is constant"),
)
"""The columns of similarity.csv."""


class Similarities(NamedTuple):
    """The similarities of a combination's first images of the regularization data, each (images, images) in [-1, 1].

    Attributes:
        setting: what is compared, ``COMBINATION``.
        pixel: S^pixel.
        networks: S^CNN by recipe, then by seed.
        targets: the similarities of neural responses, by the recipe that pulls towards them.
        left_out: a sentence for each neural target that could not be read.
    """

    setting: "pd.Series[str]"
    pixel: Matrix
    networks: dict[str, dict[int, Matrix]]
    targets: dict[str, Matrix]
    left_out: list[str]


def trained_models(measurements: pd.DataFrame) -> Iterator[tuple["pd.Series[str]", pd.DataFrame]]:
    """Yield the combinations of measurements with their models: ``recipe``, ``seed``, ``model_id`` and more, sorted.

    Where suites were run with different versions of a recipe, the last one counts. External models have no row.
    """
    trained = measurements[measurements["seed"] != EXTERNAL_SEED].drop_duplicates([*COMBINATION, "recipe", "model_id"])
    for values, rows in trained.groupby(COMBINATION):
        last = rows.groupby("recipe", sort=False)[["recipe_hash", "task_hash"]].transform("last")
        models = rows[(rows[["recipe_hash", "task_hash"]] == last).all(axis="columns")]
        yield pd.Series(dict(zip(COMBINATION, values, strict=True))), models.sort_values(["recipe", "seed"])


def pairs(similarity: Matrix) -> Matrix:
    """Return the similarities of the pairs i < j, (images * (images - 1) / 2,)."""
    return similarity[np.triu_indices(len(similarity), k=1)]


def correlation(similarity: Matrix, pixel: Matrix) -> float:
    """Return Pearson's r of two similarities over the pairs i < j; NaN where one of them is constant.

    >>> correlation(np.array([[1, 0, .5], [0, 1, .1], [.5, .1, 1]]), np.array([[1, 0, 1], [0, 1, .2], [1, .2, 1]]))
    1.0
    """
    first, second = (pairs(matrix) - pairs(matrix).mean() for matrix in (similarity, pixel))
    norms = float(np.linalg.norm(first) * np.linalg.norm(second))
    return round(float(first @ second) / norms, 12) if norms else float("nan")


def correlations(found: list[Similarities]) -> pd.DataFrame:
    """Return the columns ``CORRELATIONS``: a row a network, then a row a neural target."""
    rows = []
    for one in found:
        networks = [("S^CNN", recipe, seed, of) for recipe, seeds in one.networks.items() for seed, of in seeds.items()]
        targets = [("S^target", recipe, None, of) for recipe, of in one.targets.items()]
        for kind, recipe, seed, matrix in (*networks, *targets):
            facts = {"recipe": recipe, "seed": seed, "similarity": kind, "images_compared": len(one.pixel)}
            rows.append({**one.setting, **facts, "correlation": correlation(matrix, one.pixel)})
    return pd.DataFrame(rows).astype({"seed": "Int64"})


def by_clusters(similarity: Matrix) -> NDArray[np.intp]:
    """Return the images in an order in which similar ones stand beside each other.

    Average linkage of 1 - similarity, its leaves turned so that neighbours are as similar as can be (scipy).
    """
    from scipy.cluster.hierarchy import leaves_list, linkage

    return np.asarray(leaves_list(linkage(1 - pairs(similarity), "average", optimal_ordering=True)), dtype=np.intp)


IMAGES = 100
"""As many as in the paper's figure: 4,950 pairs."""

BATCH = 100


def measure_similarities(
    setting: "pd.Series[str]",
    models: pd.DataFrame,
    store: Store,
    catalogue: Workspace,
    data_root: Path | None,
    device: str,
) -> Similarities:
    """Return the similarities of the first 100 images of a combination's regularization data, as its models see them.

    Where the file of a neural target says nothing of some images, the first 100 of which it does are taken.

    Args:
        setting: what the models share.
        models: ``recipe``, ``seed`` and ``model_id``, as ``trained_models`` returns them; at least one, none damaged.
        store: where their runs are.
        catalogue: whose task says how many images regularize.
        data_root: where data sets lie now, or None where RBP_DATA says or where they lay.
        device: where the networks are queried.

    Raises:
        UserError: the images are not there or not those of the training.
    """
    rows = row_keys(models, ["recipe", "seed", "model_id"])
    runs = {(str(recipe), int(seed)): f"train-{model}" for recipe, seed, model in rows}
    trainings = {recipe: _training(store, run) for (recipe, _), run in runs.items()}
    data = _regularization_data(setting, list(trainings.values()), catalogue, data_root)
    images = data.images
    targets: dict[str, Tensor] = {}
    left_out = []
    for recipe in (recipe for recipe, training in trainings.items() if _is_neural(training)):
        try:
            targets[recipe] = _target(trainings[recipe], data, catalogue)
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
    return Similarities(setting, pixel_similarity(images)[square].numpy(), networks, of_targets, left_out)


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
        device: where the network is queried, in float32; the rest is done in float64 on the CPU.
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


def _training(store: Store, run: str) -> TrainingJob:
    job = recorded_job(store.spec(run))
    assert isinstance(job, TrainingJob)
    return job


def _regularization_data(
    setting: "pd.Series[str]", trainings: list[TrainingJob], catalogue: Workspace, data_root: Path | None
) -> RegularizationData:
    """Return the regularization data, and refuse others than those that the models were trained with."""
    task = catalogue.task(setting["task"]).at_size(setting["size"])
    root = data_root_of(trainings[0].context.data.root, data_root)
    count, size = task.training.regularization_images, trainings[0].context.images_data.size
    data = load_regularization_data(
        images_location(setting["regularization_data"], catalogue, root, setting["colour"], count, size)
    )
    added = [training.identity.regularization for training in trainings]
    if {one.images for one in added if one and one.images} - {ImageData(data.images).digest}:
        raise UserError(f"The images {setting['regularization_data']} are not those that its models were trained with.")
    return data


def _is_neural(training: TrainingJob) -> bool:
    """Return whether a training pulled towards similarities of neurons; those of a shuffled target are no target."""
    added = training.identity.regularization
    if added is None or added.regularizer != "similarity":
        return False
    return bool(added.parameters["target"] == "neural" and not added.parameters["shuffled"])


def _target(training: TrainingJob, data: RegularizationData, catalogue: Workspace) -> Tensor:
    """Return the neural target of a training, (images, images) float64, NaN where its file says nothing.

    Its file, if it is not the recording of the images, is looked for beside the recipe of that name in the catalogue,
    then where it lay.
    """
    context, added = training.context, training.identity.regularization
    reason = UserError("Its file has changed since the training.")
    parameters, folders = SimilarityParameters(**context.recipe_parameters), [context.recipe_folder]
    if context.recipe in catalogue.names(FOLDERS["recipe"]):
        folders.insert(0, catalogue.recipe(context.recipe).folder)
    for folder in folders:
        try:
            target = neural_similarity(parameters, folder, len(data.images), data.recording)
            if added and file_digest(parameters, folder, data.recording) == added.files:
                return target
        except UserError as error:
            reason = error
    raise reason

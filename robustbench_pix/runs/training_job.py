"""The job ``train``: from its description to weights.safetensors and log.csv."""

import csv
from collections.abc import Callable, Generator
from functools import partial
from pathlib import Path

import torch
from safetensors.torch import load_file, save
from torch import nn

from robustbench_pix.catalogue.registries import networks, regularizers
from robustbench_pix.data.preparation import split
from robustbench_pix.errors import UserError
from robustbench_pix.networks.building import build_network, features
from robustbench_pix.randomness import global_streams
from robustbench_pix.recipes.building import build_recipe, recipe_network, require_maps_and_logits
from robustbench_pix.recipes.contract import Recipe, RecipeContext, needs_images
from robustbench_pix.runs.external_model import rebuilt
from robustbench_pix.runs.identities import TrainingIdentity
from robustbench_pix.runs.job import CodeLocation, ExternalJob, TrainingContext, TrainingJob, recorded_job
from robustbench_pix.runs.locations import code_locations, load, load_regularization_data
from robustbench_pix.runs.store import LOG, WEIGHTS, Store
from robustbench_pix.training.batches import TrainingData
from robustbench_pix.training.loop import training
from robustbench_pix.training.plan import batch_sizes


def run_training(
    job: TrainingJob, scratch: Path, *, device: str, progress: Callable[[float], None]
) -> Generator[None, None, None]:
    """Train the model of a job, step by step, and write its best epoch and its log into a scratch folder."""
    identity, context = job.identity, job.context
    task, seed, added = identity.task, identity.seed, identity.regularization
    networks.require_source(task.network, context.task_folder, task.network_source)
    data, protocol = load(context.data), task.training
    parts = split(data, seed=seed, fraction=protocol.validation_fraction, limit=protocol.train_images)
    network = network_of(identity, context).to(device)
    recipe, images = None, data.train_images[:0]
    if added is not None:
        folder = context.recipe_folder
        target = regularizers.load(added.regularizer, folder)
        regularizers.require_source(added.regularizer, folder, added.source)
        regularizing = load_regularization_data(context.images_data) if needs_images(target) else None
        images = regularizing.images if regularizing else images
        if added.own_network:
            task_images = data.train_images[:2].to(device).float() / 255
            require_maps_and_logits(network.eval(), task_images, classes=context.classes, name=added.regularizer)
        setting = RecipeContext(
            images=images,
            feature_shapes=feature_shapes(network, images if len(images) else data.train_images, device),
            seed=seed,
            folder=folder,
            task=context.task,
            classes=context.classes,
            steps_per_epoch=len(batch_sizes(protocol, len(parts[0]))),
            epochs=protocol.epochs,
            labels=regularizing and regularizing.labels,
            recording=regularizing and regularizing.recording,
            untrained=partial(_initialized, identity, context),
        )
        with global_streams("regularizer", seed):
            recipe = build_recipe(target, setting, context.recipe_parameters, added.regularizer).to(device)
        if added.alpha == 0:
            _drop_penalty(recipe)
    with global_streams("training", seed):
        trained = yield from training(
            network,
            recipe,
            TrainingData(*(part.to(device) for part in (*parts, images))),
            protocol,
            seed=seed,
            alpha=added.alpha if added else 0.0,
            device=device,
            precision=identity.precision,
            progress=progress,
        )
    state = {name: value.cpu().contiguous() for name, value in trained.state.items()}
    # Not save_file, whose error on a full disk is no OSError.
    (scratch / WEIGHTS).write_bytes(save(state, metadata={"best_epoch": str(trained.best_epoch + 1)}))
    write_log(trained.log, scratch / LOG)


def network_of(identity: TrainingIdentity, context: TrainingContext) -> nn.Module:
    """Return the freshly initialized network of a training, as its recipe changes it, on the CPU."""
    network = _initialized(identity, context, identity.seed)
    added = identity.regularization
    if added is None or not added.own_network:
        return network
    return recipe_network(
        regularizers.load(added.regularizer, context.recipe_folder),
        network,
        context.recipe_parameters,
        added.regularizer,
        channels=context.channels,
        classes=context.classes,
        seed=identity.seed,
    )


def _initialized(identity: TrainingIdentity, context: TrainingContext, seed: int) -> nn.Module:
    """Return a network of the task, freshly initialized from a seed, on the CPU."""
    return build_network(
        identity.task.network,
        context.task_folder,
        identity.task.network_parameters,
        channels=context.channels,
        classes=context.classes,
        seed=seed,
    )


def _drop_penalty(recipe: Recipe) -> None:
    """Leave of a recipe its network, its batches and its loss alone."""
    recipe.pairs, recipe.singles, recipe.penalizes = 0, 0, False


def trained_network(store: Store, name: str, at_hand: CodeLocation | None = None) -> nn.Module:
    """Return the trained or external network of a run, on the CPU, in eval mode.

    ``at_hand`` says where its code lies according to the command.

    Raises:
        UserError: the folder is damaged, or the code of the model is not what it was.
    """
    damage = store.damage(name)
    if damage:
        raise UserError(
            f"{store.folder(name)} is damaged ({damage}); run the same command again, and it is made again."
        )
    spec, errors = store.spec(name), list[UserError]()
    job = recorded_job(spec)
    assert isinstance(job, TrainingJob | ExternalJob)
    for code in code_locations(job.context.code, store, at_hand):
        try:
            there = job.with_code(code)
            if isinstance(there, TrainingJob):
                return _with_weights(store.folder(name), there)
            return rebuilt(store.folder(name), there, spec)
        except UserError as error:
            errors.append(error)
    raise errors[0]


def _with_weights(folder: Path, job: TrainingJob) -> nn.Module:
    """Return the trained network of a run folder, or refuse code that is not what it was."""
    task = job.identity.task
    if networks.source(task.network, job.context.task_folder) != task.network_source:
        raise UserError(f"The code of {task.network} has changed since {folder} was made; run it again.")
    added = job.identity.regularization
    own = added if added and added.own_network else None
    if own and regularizers.source(own.regularizer, job.context.recipe_folder) != own.source:
        raise UserError(f"The code of {own.regularizer} has changed since {folder} was made; run it again.")
    network = network_of(job.identity, job.context)
    network.load_state_dict(load_file(folder / WEIGHTS))
    return network.eval()


def load_model(folder: str | Path) -> nn.Module:
    """Return the trained network of a run folder such as ``runs/train-0123456789abcdef``.

    The network is on the CPU, in eval mode, and takes float32 images in [0, 1], (N, C, H, W), returning logits.

    Raises:
        UserError: there is no such folder, it is damaged, or it holds no training.
    """
    folder = Path(folder)
    if not Store(folder.parent).holds(folder.name, WEIGHTS) and not (folder / WEIGHTS).is_file():
        raise UserError(f"{folder} is no folder of a trained model; they are named runs/train-... or runs/given-....")
    return trained_network(Store(folder.parent), folder.name)


@torch.no_grad()
def feature_shapes(network: nn.Module, images: torch.Tensor, device: str) -> tuple[torch.Size, ...]:
    """Return (C, H, W) of each tapped layer for such images; in eval mode, so that no statistics move."""
    network.eval()
    return tuple(layer.shape[1:] for layer in features(network, images[:1].to(device).float() / 255))


def write_log(log: list[dict[str, float]], path: Path) -> None:
    """Write one row an epoch, epochs counted from 1."""
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, fieldnames=list(log[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows({**row, "epoch": int(row["epoch"]) + 1} for row in log)

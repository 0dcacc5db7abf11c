"""The job ``train``: from its description to weights.safetensors and log.csv."""

import csv
from collections.abc import Callable, Generator
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save
from torch import nn

from robustbench_pix.catalogue.registries import regularizers
from robustbench_pix.catalogue.specs import TrainingSpec
from robustbench_pix.data.preparation import split
from robustbench_pix.errors import UserError
from robustbench_pix.networks.building import build_network, features
from robustbench_pix.randomness import global_streams
from robustbench_pix.regularizers.base import Setting, build_regularizer
from robustbench_pix.runs.given_model import rebuilt
from robustbench_pix.runs.jobs import Job, load, load_regularization_images, optional_path
from robustbench_pix.runs.store import SPEC, WEIGHTS, Store
from robustbench_pix.training.loop import training
from robustbench_pix.training.resident import TrainingData

LOG = "log.csv"


def run_training(
    job: Job, scratch: Path, *, device: str, progress: Callable[[float], None]
) -> Generator[None, None, None]:
    """Train the model of a job, step by step, and write its best epoch and its log into a scratch folder."""
    task, context = job.identity["task"], job.context
    spec = TrainingSpec(**task["training"])
    data = load(context["data"])
    parts = split(data, seed=job.identity["seed"], fraction=spec.validation_fraction, limit=spec.train_images)
    network = network_of(job.identity, context).to(device)
    seed, wanted = job.identity["seed"], job.identity["regularization"]
    regularizer, images = None, data.train_images[:0]
    if wanted is not None:
        images = load_regularization_images(context["images_data"])
        setting = Setting(images, feature_shapes(network, images, device), seed, _folder(context))
        target = regularizers.load(wanted["regularizer"], _folder(context))
        with global_streams("regularizer", seed):
            regularizer = build_regularizer(target, setting, context["parameters"], wanted["regularizer"]).to(device)
    with global_streams("training", seed):
        trained = yield from training(
            network,
            regularizer,
            TrainingData(*(part.to(device) for part in (*parts, images))),
            spec,
            seed=seed,
            alpha=wanted["parameters"]["alpha"] if wanted else 0.0,
            device=device,
            precision=job.identity["precision"],
            progress=progress,
        )
    state = {name: value.cpu().contiguous() for name, value in trained.state.items()}
    # Not save_file, whose error on a full disk is no OSError.
    (scratch / WEIGHTS).write_bytes(save(state, metadata={"best_epoch": str(trained.best_epoch + 1)}))
    write_log(trained.log, scratch / LOG)


def network_of(identity: dict[str, Any], context: dict[str, Any]) -> nn.Module:
    """Return the freshly initialized network of a training's identity, on the CPU."""
    task = identity["task"]
    return build_network(
        task["network"],
        optional_path(context["task_folder"]),
        task["network_parameters"],
        channels=context["channels"],
        classes=context["classes"],
        seed=identity["seed"],
    )


def trained_network(store: Store, name: str) -> nn.Module:
    """Return the trained or given network of a run, on the CPU, in eval mode.

    Raises:
        UserError: the folder is damaged, or the code of a given model is not what it was.
    """
    damage = store.damage(name)
    if damage:
        raise UserError(
            f"{store.folder(name)} is damaged ({damage}); run the same command again, and it is made again."
        )
    spec = store.spec(name)
    if spec["identity"]["kind"] == "given":
        return rebuilt(store.folder(name), spec)
    network = network_of(spec["identity"], spec["context"])
    network.load_state_dict(load_file(store.folder(name) / WEIGHTS))
    return network.eval()


def load_model(folder: str | Path) -> nn.Module:
    """Return the trained network of a run folder such as ``runs/train-0123456789abcdef``.

    The network is on the CPU, in eval mode, and takes float32 images in [0, 1], (N, C, H, W), returning logits.

    Raises:
        UserError: there is no such folder, it is damaged, or it holds no training.
    """
    folder = Path(folder)
    if not (folder / SPEC).is_file() or not (folder / WEIGHTS).is_file():
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


def _folder(context: dict[str, Any]) -> Path | None:
    return optional_path(context["recipe_folder"])

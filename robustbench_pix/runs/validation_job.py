"""The job ``validation``: an attack on the validation images of a trained model, by which parameters are tuned."""

from collections.abc import Callable
from pathlib import Path

import torch

from robustbench_pix.attacks.building import build_attack
from robustbench_pix.catalogue.registries import attacks
from robustbench_pix.data.base import ImageData
from robustbench_pix.data.preparation import split
from robustbench_pix.evaluation.batch import AttackSetting
from robustbench_pix.evaluation.evaluate import evaluate
from robustbench_pix.networks.inference import for_inference
from robustbench_pix.runs.attack_job import attack_spec
from robustbench_pix.runs.identities import TrainingIdentity
from robustbench_pix.runs.job import ValidationJob, recorded_job
from robustbench_pix.runs.locations import load
from robustbench_pix.runs.store import EXAMPLES, Store
from robustbench_pix.runs.training_job import trained_network


def run_validation(
    job: ValidationJob, store: Store, scratch: Path, *, device: str, progress: Callable[[float], None]
) -> None:
    """Attack a model on its validation images and write one row for each image and strength into a scratch folder."""
    name, attacked = job.needs[0], job.identity.attack
    trained = recorded_job(store.spec(name)).identity
    assert isinstance(trained, TrainingIdentity)
    data = load(job.context.data)
    images, labels = validation_images(data, trained, job.identity.images)
    spec = attack_spec(job)
    attacks.require_source(spec.attack, spec.folder, attacked.source)
    setting = AttackSetting(
        task=f"{job.identity.task}:validation",  # No test image of the task has the same noise.
        protocol=job.identity.protocol,
        access=attacked.access,
        strength_kind=attacked.strength,
        strengths=attacked.strengths,
        evaluation=attacked.evaluation,
        classes=data.classes,
    )
    network = trained_network(store, name, job.context.models.get(name)).to(device)
    images, labels = images.to(device).float() / 255, labels.to(device)
    examples = evaluate(
        for_inference(network), None, build_attack(spec), images, labels, setting, device=device, progress=progress
    )
    examples.to_parquet(scratch / EXAMPLES, index=False, compression="zstd")


def validation_images(data: ImageData, trained: TrainingIdentity, most: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Return images on which a model was not trained and that are no test images, uint8 (N, C, H, W), and labels (N,).

    They are the validation images of its seed and, where its protocol takes only the first training images, the last of
    those beyond, up to ``most`` in all.
    """
    protocol = trained.task.training
    parts = split(data, seed=trained.seed, fraction=protocol.validation_fraction, limit=protocol.train_images)
    assert data.train_labels is not None
    unused = 0 if protocol.train_images is None else max(0, len(data.train_images) - protocol.train_images)
    more = len(data.train_images) - min(unused, max(0, most - len(parts.validation_images)))
    images = torch.cat([parts.validation_images, data.train_images[more:]])[:most]
    return images, torch.cat([parts.validation_labels, data.train_labels[more:]])[:most]

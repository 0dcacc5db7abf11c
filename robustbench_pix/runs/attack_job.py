"""The jobs on a trained model: ``attack``, ``check`` (gradient masking) and ``nearest`` (smallest known distances)."""

from collections.abc import Callable
from functools import lru_cache
from pathlib import Path

from robustbench_pix.attacks.base import FixedStrengthAttack, TensorCache
from robustbench_pix.attacks.building import build_attack
from robustbench_pix.attacks.libraries.classes import engine_of
from robustbench_pix.catalogue.registries import attacks
from robustbench_pix.catalogue.specs import AttackSpec
from robustbench_pix.evaluation.batch import AttackSetting
from robustbench_pix.evaluation.evaluate import KEPT_IMAGES, ExampleImages, attacked_indices, evaluate
from robustbench_pix.evaluation.gradient_checks import gather
from robustbench_pix.evaluation.nearest import smallest_distances
from robustbench_pix.networks.building import ensemble
from robustbench_pix.networks.inference import channels_last, for_inference
from robustbench_pix.runs.job import AttackJob, CheckJob, NearestJob, ValidationJob
from robustbench_pix.runs.locations import load, load_tested
from robustbench_pix.runs.store import EVIDENCE, EXAMPLES, NEAREST_KNOWN, PICTURES, Store
from robustbench_pix.runs.training_job import trained_network

SOURCE_CACHE_BYTES = 2**27
"""The signs of 10,000 images of 32x32 pixels in colour take 31 MB."""

SOURCES_IN_CACHE = 3
"""As many as the suite ``transfer`` takes turns with: the same network, another one, an ensemble."""


def run_attack(job: AttackJob, store: Store, scratch: Path, *, device: str, progress: Callable[[float], None]) -> None:
    """Attack the model of a job and write one row for each image and strength into a scratch folder.

    Beside them pictures of a few images, if those of the data set may be published.
    """
    images, labels, classes = load_tested(job, device)
    attacked, models = job.identity.attack, job.context.models
    trained, *sources = (trained_network(store, name, models.get(name)).to(device) for name in job.needs)
    case = AttackSetting(
        task=job.identity.task,
        protocol=job.identity.protocol,
        access=attacked.access,
        strength_kind=attacked.strength,
        strengths=attacked.strengths,
        evaluation=attacked.evaluation,
        classes=classes,
    )
    spec = attack_spec(job)
    attack = build_attack(spec)
    if engine_of(spec.attack) is None:
        attacks.require_source(spec.attack, spec.folder, attacked.source)
    if isinstance(attack, FixedStrengthAttack):
        attack.file = job.context.file
    credit = load(job.context.data).picture_credit
    pictures = _pictures(case, len(images)) if credit else None
    examples = evaluate(
        channels_last(trained) if attacked.access == "gradients" else for_inference(trained),
        ensemble([channels_last(source) for source in sources]) if sources else None,
        attack,
        images,
        labels,
        case,
        device=device,
        source_cache=_source_cache(job.needs[1:]) if sources else None,
        pictures=pictures,
        progress=progress,
    )
    examples.to_parquet(scratch / EXAMPLES, index=False, compression="zstd")
    if pictures is not None:
        table = pictures.table(examples, images).assign(credit=credit)
        table.to_parquet(scratch / PICTURES, index=False, compression="zstd")


def _pictures(case: AttackSetting, images: int) -> ExampleImages:
    """Return what keeps pictures of an attack; a smaller choice of images is part of a larger one."""
    wanted = case.evaluation.images
    kept = KEPT_IMAGES if wanted is None else min(KEPT_IMAGES, wanted)
    return ExampleImages(attacked_indices(case.task, images, kept))


@lru_cache(maxsize=SOURCES_IN_CACHE)
def _source_cache(sources: tuple[str, ...]) -> TensorCache:
    """Return what this process keeps of source models that are used together, named by their runs.

    The names are hashes of the weights' origin and of the data set, so nothing else goes by them.
    """
    return TensorCache(SOURCE_CACHE_BYTES)


def attack_spec(job: AttackJob | ValidationJob) -> AttackSpec:
    """Return the catalogue entry that a job was planned from, as far as it decides what is built."""
    attacked = job.identity.attack
    return AttackSpec(
        name=job.context.attack,
        path=job.context.attack_path,
        summary="",
        attack=attacked.attack,
        access=attacked.access,
        strength=attacked.strength,
        parameters=attacked.parameters,
    )


def run_check(job: CheckJob, store: Store, scratch: Path, *, device: str) -> None:
    """Examine the model of a job beside a source model and write one row for each image into a scratch folder."""
    images, labels, classes = load_tested(job, device)
    models = (trained_network(store, name, job.context.models.get(name)) for name in job.needs)
    network, source = (channels_last(model.to(device)) for model in models)
    identity = job.identity
    evidence = gather(
        network, source, images, labels, task=identity.task, radii=identity.radii, classes=classes, device=device
    )
    evidence.to_parquet(scratch / EVIDENCE, index=False, compression="zstd")


def run_nearest(job: NearestJob, store: Store, scratch: Path, *, device: str) -> None:
    """Search for adversarials near images of a job's model and write one row for each image into a scratch folder."""
    images, labels, classes = load_tested(job, device)
    name = job.needs[0]
    network = channels_last(trained_network(store, name, job.context.models.get(name)).to(device))
    known = smallest_distances(network, images, labels, task=job.identity.task, classes=classes, device=device)
    known.to_parquet(scratch / NEAREST_KNOWN, index=False, compression="zstd")

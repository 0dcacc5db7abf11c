"""The job ``attack``: from a trained model and a description to examples.parquet, and pictures.parquet beside it."""

from collections.abc import Callable
from functools import lru_cache
from pathlib import Path

from robustbench_pix.attacks.base import FixedStrengthAttack
from robustbench_pix.attacks.building import build_attack
from robustbench_pix.attacks.memory import Memory
from robustbench_pix.catalogue.specs import AttackSpec, EvaluationSpec
from robustbench_pix.evaluation.batch import Case
from robustbench_pix.evaluation.evaluate import attacked_indices, evaluate
from robustbench_pix.evaluation.pictures import PICTURED, Pictures
from robustbench_pix.networks.ensemble import ensemble
from robustbench_pix.networks.inference import channels_last, for_inference
from robustbench_pix.runs.jobs import Job, load, load_tested, optional_path
from robustbench_pix.runs.store import EXAMPLES, PICTURES, Store
from robustbench_pix.runs.training_job import trained_network

SOURCE_MEMORY_BYTES = 2**27
"""The signs of 10,000 images of 32x32 pixels in colour take 31 MB."""

SOURCES_IN_MEMORY = 3
"""As many as the suite ``transfer`` takes turns with: the same network, another one, an ensemble."""


def run_attack(job: Job, store: Store, scratch: Path, *, device: str, progress: Callable[[float], None]) -> None:
    """Attack the model of a job and write one row for each image and strength into a scratch folder.

    Beside them pictures of a few images, if those of the data set may be published.
    """
    images, labels, classes = load_tested(job, device)
    wanted = job.identity["attack"]
    trained, *sources = (trained_network(store, name).to(device) for name in job.needs)
    evaluation = EvaluationSpec(**wanted["evaluation"])
    case = Case(
        task=job.identity["task"],
        protocol=job.identity["protocol"],
        access=wanted["access"],
        strength_kind=wanted["strength"],
        strengths=tuple(wanted["strengths"]),
        evaluation=evaluation,
        classes=classes,
    )
    attack = build_attack(attack_spec(job))
    if isinstance(attack, FixedStrengthAttack):
        attack.file = optional_path(job.context["file"])
    credit = load(job.context["data"]).picture_credit
    pictures = _pictures(case, len(images)) if credit else None
    examples = evaluate(
        channels_last(trained) if wanted["access"] == "gradients" else for_inference(trained),
        ensemble([channels_last(source) for source in sources]) if sources else None,
        attack,
        images,
        labels,
        case,
        device=device,
        source_memory=_source_memory(job.needs[1:]) if sources else None,
        pictures=pictures,
        progress=progress,
    )
    examples.to_parquet(scratch / EXAMPLES, index=False, compression="zstd")
    if pictures is not None:
        table = pictures.table(examples, images).assign(credit=credit)
        table.to_parquet(scratch / PICTURES, index=False, compression="zstd")


def _pictures(case: Case, images: int) -> Pictures:
    """Return what keeps pictures of an attack; a smaller choice of images is part of a larger one."""
    wanted = case.evaluation.images
    return Pictures(attacked_indices(case.task, images, PICTURED if wanted is None else min(PICTURED, wanted)))


@lru_cache(maxsize=SOURCES_IN_MEMORY)
def _source_memory(sources: tuple[str, ...]) -> Memory:
    """Return what this process keeps of source models that are used together, named by their runs.

    The names are hashes of the weights' origin and of the data set, so nothing else goes by them.
    """
    return Memory(SOURCE_MEMORY_BYTES)


def attack_spec(job: Job) -> AttackSpec:
    """Return the catalogue entry that a job was planned from, as far as it decides what is built."""
    wanted = job.identity["attack"]
    return AttackSpec(
        name=job.context["attack"],
        path=Path(job.context["attack_path"]),
        summary="",
        attack=wanted["attack"],
        access=wanted["access"],
        strength=wanted["strength"],
        parameters=wanted["parameters"],
    )

"""The job ``attack``: from a trained model and a description to examples.parquet."""

from collections.abc import Callable
from pathlib import Path

from robustbench_pix.attacks.building import build_attack
from robustbench_pix.catalogue.specs import AttackSpec, EvaluationSpec
from robustbench_pix.errors import UserError
from robustbench_pix.evaluation.batch import Case
from robustbench_pix.evaluation.evaluate import evaluate
from robustbench_pix.runs.jobs import Job, load
from robustbench_pix.runs.store import EXAMPLES, Store
from robustbench_pix.runs.training_job import trained_network


def run_attack(job: Job, store: Store, scratch: Path, *, device: str, progress: Callable[[float], None]) -> None:
    """Attack the model of a job and write one row for each image and strength into a scratch folder."""
    data = load(job.context["data"])
    if data.test_images is None or data.test_labels is None:
        raise UserError(f"The task {job.identity['task']} has no test images to attack.")
    limit = job.identity["test_images"]
    wanted = job.identity["attack"]
    model, *source = (trained_network(store, name).to(device) for name in job.needs)
    evaluation = EvaluationSpec(**wanted["evaluation"])
    case = Case(
        task=job.identity["task"],
        protocol=job.identity["protocol"],
        access=wanted["access"],
        strength_kind=wanted["strength"],
        strengths=tuple(wanted["strengths"]),
        evaluation=evaluation,
        classes=data.classes,
    )
    examples = evaluate(
        model,
        source[0] if source else None,
        build_attack(attack_spec(job)),
        data.test_images[:limit].to(device).float() / 255,
        data.test_labels[:limit].to(device),
        case,
        device=device,
        progress=progress,
    )
    examples.to_parquet(scratch / EXAMPLES, index=False, compression="zstd")


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

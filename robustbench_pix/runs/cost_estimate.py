"""Estimate what a run would cost: jobs, time and disk space.

Time is that of the same work in an earlier run of this workspace, else that of a trial of the network on one thread.
"""

import time
from collections.abc import Callable
from contextlib import suppress
from functools import cache, partial
from typing import Any

import torch
from torch.nn import functional

from robustbench_pix.attacks.recorded import INFLATION_IMAGES
from robustbench_pix.devices import resolve_device, worker_devices
from robustbench_pix.errors import UserError
from robustbench_pix.evaluation.gradient_checks import IMAGES
from robustbench_pix.evaluation.nearest import DDN_STEPS, FAB_STEPS, FAB_TARGETS
from robustbench_pix.identity import canonical_json, digest
from robustbench_pix.regularizers.base import DEFAULT_PAIRS
from robustbench_pix.runs.identities import (
    AttackDefinition,
    AttackIdentity,
    CheckIdentity,
    NearestIdentity,
    TrainingIdentity,
    ValidationIdentity,
)
from robustbench_pix.runs.job import (
    AttackJob,
    CheckJob,
    Job,
    NearestJob,
    TrainingJob,
    ValidationJob,
    recorded_job,
)
from robustbench_pix.runs.locations import load
from robustbench_pix.runs.plan_store import CHECK, NEAREST
from robustbench_pix.runs.planner import Plan, make_plan
from robustbench_pix.runs.request import Resources, RunConfig
from robustbench_pix.runs.store import Store
from robustbench_pix.runs.training_job import network_of
from robustbench_pix.runs.validation_job import validation_images

BYTES_OF_AN_EXAMPLE = 8
"""Of one row of examples.parquet, compressed."""

QUERIES_OF_A_STEP = {
    "boundary": 1.11,
    "hop-skip-jump": 240,
    "square": 1.1,
    "foolbox:BoundaryAttack": 1.11,
    "foolbox:HopSkipJumpAttack": 540,
    "art:HopSkipJump": 240,
}
"""Queries of an image, at all strengths together, for each ``steps`` or ``max_iter`` of an attack, as measured."""

GRADIENTS_OF_A_CHECK, QUERIES_OF_A_CHECK = 300, 300
"""Of an image, as measured."""

GROUPS = {"train": "train", "validation": "validation", "check": CHECK, "nearest": NEAREST}
"""What jobs other than attacks are called, by their kinds."""

TRIAL_IMAGES = 16


def estimate(config: RunConfig, resources: Resources) -> list[dict[str, Any]]:
    """Return one row for each kind of job and one for all: count, time and disk in words and in numbers.

    ``seconds`` is the time of all workers together, side by side. Attacks of which nothing is known are counted in
    ``note`` and not in the time.
    """
    return estimate_plan(make_plan(config, resolve_device(resources.device)), Store(config.workspace.runs), resources)


def estimate_plan(plan: Plan, store: Store, resources: Resources) -> list[dict[str, Any]]:
    """Return the rows of ``estimate`` for the jobs of a plan that are missing."""
    workers = worker_devices(resolve_device(resources.device), resources.workers)
    known = _earlier_seconds(store)
    trial = cache(lambda key: _trial(trainings[key], workers[0]))
    trainings: dict[str, TrainingJob] = {}
    groups: dict[str, list[tuple[float | None, float]]] = {}
    for job in plan.missing(store):
        training = job if isinstance(job, TrainingJob) else plan.jobs[job.needs[0]]
        assert isinstance(training, TrainingJob)
        key = canonical_json(training.identity.task.model_dump(mode="json"))
        trainings.setdefault(key, training)
        seconds = known.get(_work(job)) or _seconds(job, training, partial(trial, key))
        group = job.context.attack if isinstance(job, AttackJob) else GROUPS[job.kind]
        groups.setdefault(group, []).append((seconds, _bytes(job)))
    rows = [_row(group, costs, len(workers)) for group, costs in groups.items()]
    return [*rows, _row("all", [cost for costs in groups.values() for cost in costs], len(workers))]


def in_words(seconds: float) -> str:
    """Return a duration as people say it.

    >>> in_words(42), in_words(200), in_words(9000), in_words(900_000)
    ('42 s', '3 min', '2.5 h', '10.4 d')
    """
    for unit, length in (("d", 86_400), ("h", 3_600)):
        if seconds >= 1.5 * length:
            return f"{seconds / length:.1f} {unit}"
    return f"{seconds / 60:.0f} min" if seconds >= 90 else f"{seconds:.0f} s"


def _row(group: str, costs: list[tuple[float | None, float]], workers: int) -> dict[str, Any]:
    seconds = sum(cost for cost, _ in costs if cost is not None) / workers
    size = sum(size for _, size in costs)
    unknown = sum(cost is None for cost, _ in costs)
    return {
        "jobs": group,
        "count": len(costs),
        "time": in_words(seconds),
        "disk": f"{size / 1e9:.1f} GB" if size >= 1e9 else f"{size / 1e6:.1f} MB",
        "note": f"{unknown} of unknown time, not counted" if unknown else "",
        "seconds": round(seconds),
        "bytes": round(size),
    }


def _work(job: Job) -> str:
    """Return a hash of what jobs that take the same time share."""
    match job.identity:
        case TrainingIdentity() as identity:
            task = job.context.task if isinstance(job, TrainingJob) else ""
            shared = [task, identity.task.model_dump(mode="json"), identity.precision, _pairs(identity)]
        case ValidationIdentity() as identity:
            shared = [identity.task, identity.images, identity.kind, identity.attack.model_dump(mode="json")]
        case AttackIdentity() as identity:
            shared = [identity.task, identity.test_images, identity.attack.model_dump(mode="json")]
        case CheckIdentity() | NearestIdentity() as identity:
            shared = [identity.task, identity.test_images, identity.kind]
        case _:
            shared = [job.id]
    return digest(shared)


def _earlier_seconds(store: Store) -> dict[str, float]:
    found = {}
    for name in store.runs():
        if store.fault(name) is None:
            spec = store.spec(name)
            with suppress(UserError):  # It was recorded by another version.
                found[_work(recorded_job(spec))] = float(spec["seconds"])
    return found


def _seconds(job: Job, training: TrainingJob, trial: Callable[[], tuple[float, float]]) -> float | None:
    """Return the seconds of a job from those of a trial: forward only, and forward and backward, of one image."""
    match job:
        case TrainingJob():
            data, protocol = load(job.context.data), job.identity.task.training
            examples = min(len(data.train_images), protocol.train_images or len(data.train_images))
            images_a_step = protocol.batch_size + 2 * _pairs(job.identity)
            return trial()[1] * images_a_step * protocol.epochs * examples / protocol.batch_size
        case CheckJob():
            return IMAGES * (trial()[1] * GRADIENTS_OF_A_CHECK + trial()[0] * QUERIES_OF_A_CHECK)
        case NearestJob():
            queries = FAB_STEPS * FAB_TARGETS
            return INFLATION_IMAGES * (trial()[1] * (DDN_STEPS + queries) + trial()[0] * queries)
        case ValidationJob():
            _, labels = validation_images(load(job.context.data), training.identity, job.identity.images)
            return trial()[0] * len(labels) * len(job.identity.attack.strengths)
        case AttackJob():
            queries_of_an_image = _queries(job.identity.attack)
            return None if queries_of_an_image is None else trial()[0] * _attacked(job) * queries_of_an_image
    return None


def _queries(attack: AttackDefinition) -> float | None:
    """Return the queries of one image, at all strengths together, or None where nothing is known of the attack."""
    if attack.access in ("none", "transfer"):
        return len(attack.strengths)
    if attack.evaluation.budget:
        return attack.evaluation.budget * (1 if attack.access == "decisions" else len(attack.strengths) - 1)
    a_step = QUERIES_OF_A_STEP.get(attack.attack)
    steps = attack.parameters.get("steps", attack.parameters.get("max_iter"))
    return a_step * float(steps) if a_step and steps else None


def _attacked(job: AttackJob) -> int:
    """Return the number of attacked images, repetitions counted."""
    data, evaluation = load(job.context.data), job.identity.attack.evaluation
    images = 0 if data.test_images is None else len(data.test_images)
    for limit in (job.identity.test_images, evaluation.images):
        images = min(images, limit or images)
    return images * evaluation.repetitions


def _pairs(identity: TrainingIdentity) -> int:
    added = identity.regularization
    return int(added.parameters.get("pairs", DEFAULT_PAIRS)) if added else 0


def _bytes(job: Job) -> float:
    match job:
        case TrainingJob():
            state = network_of(job.identity, job.context).state_dict()
            return float(sum(value.numel() * value.element_size() for value in state.values()))
        case ValidationJob():
            return job.identity.images * len(job.identity.attack.strengths) * BYTES_OF_AN_EXAMPLE
        case AttackJob():
            return _attacked(job) * max(1, len(job.identity.attack.strengths)) * BYTES_OF_AN_EXAMPLE
    return (IMAGES if isinstance(job, CheckJob) else INFLATION_IMAGES) * BYTES_OF_AN_EXAMPLE


def _trial(job: TrainingJob, device: str) -> tuple[float, float]:
    """Return the seconds of one image: forward only, and forward and backward; the faster of two tries."""
    data = load(job.context.data)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    network = network_of(job.identity, job.context).to(device)
    images = data.train_images[:TRIAL_IMAGES].to(device).float() / 255
    labels = torch.zeros(len(images), dtype=torch.int64, device=device)

    def forward() -> None:
        with torch.no_grad():
            network(images)

    def forward_and_backward() -> None:
        functional.cross_entropy(network(images), labels).backward()

    seconds = [min(_timed(step, device) for _ in range(2)) for step in (forward, forward_and_backward)]
    torch.set_num_threads(threads)
    return seconds[0] / len(images), seconds[1] / len(images)


def _timed(step: Callable[[], None], device: str) -> float:
    started = time.monotonic()
    step()
    if device.startswith("cuda"):
        torch.cuda.synchronize(device)
    return time.monotonic() - started

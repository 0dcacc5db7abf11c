"""Estimate what a run would cost: jobs, time and disk space.

Time is that of the same work in an earlier run of this workspace, else that of a trial on one thread: of a training its
first steps, of an attack calls of the untrained network with as many images at once.
"""

from collections.abc import Callable
from contextlib import suppress
from functools import cache, partial
from typing import Any

from robustbench_pix.attacks.recorded import INFLATION_IMAGES
from robustbench_pix.devices import resolve_device, worker_devices
from robustbench_pix.errors import UserError
from robustbench_pix.evaluation.gradient_checks import IMAGES
from robustbench_pix.evaluation.judging import judge_batch
from robustbench_pix.evaluation.nearest import DDN_STEPS, FAB_STEPS, FAB_TARGETS
from robustbench_pix.identity import canonical_json, digest
from robustbench_pix.runs.cluster.cluster_file import read_cluster
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
from robustbench_pix.runs.trials import Call, time_of_call, training_seconds
from robustbench_pix.runs.typical_seconds import in_words
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

SECONDS_A_QUERY = 1.1e-5
"""What an attack of ours does for a queried image beside the network's answer, as measured."""

SECONDS_A_CALL = 2e-3
"""What a check or a search does beside each call of the network, as measured."""


def estimate(config: RunConfig, resources: Resources) -> list[dict[str, Any]]:
    """Return one row for each kind of job and one for all: count, time and disk in words and in numbers.

    ``seconds`` is the time of all workers together, side by side. Attacks of which nothing is known, and trainings
    whose first steps fail, are counted in ``note`` and not in the time.
    """
    return estimate_plan(make_plan(config, resolve_device(resources.device)), Store(config.workspace.runs), resources)


def estimate_plan(plan: Plan, store: Store, resources: Resources) -> list[dict[str, Any]]:
    """Return the rows of ``estimate`` for the jobs of a plan that are missing."""
    workers = worker_devices(resolve_device(resources.device), _workers(resources))
    seconds = seconds_of_jobs(plan, store, workers[0])
    groups: dict[str, list[tuple[float | None, float]]] = {}
    for job in plan.missing(store):
        group = job.context.attack if isinstance(job, AttackJob) else GROUPS[job.kind]
        groups.setdefault(group, []).append((seconds[job.name], _bytes(job)))
    rows = [_row(group, costs, len(workers)) for group, costs in groups.items()]
    return [*rows, _row("all", [cost for costs in groups.values() for cost in costs], len(workers))]


def _workers(resources: Resources) -> int | None:
    """Return the number of workers, of a cluster the largest; None for as many as this machine has by default."""
    return read_cluster(resources.cluster).most_workers if resources.cluster else resources.workers


def seconds_of_jobs(plan: Plan, store: Store, device: str) -> dict[str, float | None]:
    """Return the seconds of each missing job of a plan by its name; None where nothing is known."""
    known, trainings, found = _earlier_seconds(store), dict[str, TrainingJob](), dict[str, float | None]()
    call = cache(lambda key, images: time_of_call(trainings[key], images, device))
    for job in plan.missing(store):
        training = job if isinstance(job, TrainingJob) else plan.jobs[job.needs[0]]
        assert isinstance(training, TrainingJob)
        key = canonical_json(training.identity.task.model_dump(mode="json"))
        trainings.setdefault(key, training)
        work = _work(job)
        if work not in known:
            known[work] = _seconds(job, training, partial(call, key), device)
        found[job.name] = known[work]
    return found


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
    shared: list[Any]
    match job.identity:
        case TrainingIdentity() as identity:
            task = job.context.task if isinstance(job, TrainingJob) else ""
            shared = [task, identity.task.model_dump(mode="json"), identity.precision, _added(identity)]
        case ValidationIdentity() as identity:
            shared = [identity.task, identity.images, identity.kind, identity.attack.model_dump(mode="json")]
        case AttackIdentity() as identity:
            shared = [identity.task, identity.test_images, identity.attack.model_dump(mode="json")]
        case CheckIdentity() | NearestIdentity() as identity:
            shared = [identity.task, identity.test_images, identity.kind]
        case _:
            shared = [job.id]
    return digest(shared)


def _earlier_seconds(store: Store) -> dict[str, float | None]:
    found: dict[str, float | None] = {}
    for name in store.runs():
        if store.fault(name) is None:
            spec = store.spec(name)
            with suppress(UserError):  # It was recorded by another version.
                found[_work(recorded_job(spec))] = float(spec["seconds"])
    return found


def _seconds(job: Job, training: TrainingJob, call: Callable[[int], Call], device: str) -> float | None:
    """Return the seconds of a job; ``call`` takes the number of images that are given to a network at once."""
    match job:
        case TrainingJob():
            return training_seconds(job, device)
        case CheckJob():
            return _of_calls(call(IMAGES), GRADIENTS_OF_A_CHECK, QUERIES_OF_A_CHECK)
        case NearestJob():
            steps = FAB_STEPS * FAB_TARGETS
            return _of_calls(call(INFLATION_IMAGES), DDN_STEPS + steps, steps)
        case ValidationJob():
            _, labels = validation_images(load(job.context.data), training.identity, job.identity.images)
            at_once = judge_batch(device, job.context.entries)
            return (call(at_once).query / at_once + SECONDS_A_QUERY) * len(labels) * len(job.identity.attack.strengths)
        case AttackJob():
            queries, attacked, context = _queries(job.identity.attack), _attacked(job), job.context
            given = job.identity.attack.evaluation.batch_size
            at_once = max(1, min(attacked, given if context.batch_dependent else judge_batch(device, context.entries)))
            seconds = call(at_once).query / at_once + SECONDS_A_QUERY
            return None if queries is None else seconds * queries * attacked
    return None


def _of_calls(call: Call, gradients: int, queries: int) -> float:
    return (call.gradient + SECONDS_A_CALL) * gradients + (call.query + SECONDS_A_CALL) * queries


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


def _added(identity: TrainingIdentity) -> list[Any]:
    """Return what of a recipe decides the time of a training."""
    added = identity.regularization
    return [] if added is None else [added.regularizer, added.source, added.parameters, added.images]


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

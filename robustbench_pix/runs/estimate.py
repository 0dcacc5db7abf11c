"""What a request would do before it is done: jobs, time and disk.

Time is that of the same work in an earlier run of this workspace, else that of a trial of the network on one thread.
"""

import time
from collections.abc import Callable
from functools import cache
from typing import Any

import torch
from torch.nn import functional

from robustbench_pix.catalogue.specs import TrainingSpec
from robustbench_pix.devices import resolve_device, worker_devices
from robustbench_pix.evaluation.masking import IMAGES
from robustbench_pix.identity import canonical_json, digest
from robustbench_pix.regularizers.base import DEFAULT_PAIRS
from robustbench_pix.runs.jobs import Job, load
from robustbench_pix.runs.plan import Plan
from robustbench_pix.runs.planning import make_plan
from robustbench_pix.runs.plans import CHECK
from robustbench_pix.runs.request import Request
from robustbench_pix.runs.running import Means
from robustbench_pix.runs.scheduling import missing_jobs
from robustbench_pix.runs.store import Store
from robustbench_pix.runs.training_job import network_of

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

TRIAL_IMAGES = 16


def estimate(request: Request, means: Means) -> list[dict[str, Any]]:
    """Return one row for each kind of job and one for all: count, time and disk in words and in numbers.

    ``seconds`` is the time of all workers together, side by side. Attacks of which nothing is known are counted in
    ``note`` and not in the time.
    """
    device = resolve_device(means.device)
    workers = worker_devices(device, means.workers)
    plan, store = make_plan(request, device), Store(request.workspace.runs)
    known = _earlier_seconds(store)
    trial = cache(lambda key: _trial(trainings[key], workers[0]))
    trainings: dict[str, Job] = {}
    groups: dict[str, list[tuple[float | None, float]]] = {}
    for job in missing_jobs(plan.jobs.values(), store, report=lambda text: None, remove=False):
        training = _training_of(job, plan)
        key = canonical_json(training.identity["task"])
        trainings.setdefault(key, training)
        seconds = known.get(_work(job)) or _seconds(job, training, lambda key=key: trial(key))  # type: ignore[misc]
        group = job.context["attack"] if job.kind == "attack" else {"train": "train", "check": CHECK}[job.kind]
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


def _training_of(job: Job, plan: Plan) -> Job:
    return job if job.kind == "train" else plan.jobs[job.needs[0]]


def _work(job: Job) -> str:
    """Return a hash of what jobs that take the same time share."""
    return _work_of(job.identity, job.context["task"] if job.kind == "train" else "")


def _work_of(identity: dict[str, Any], task: str) -> str:
    if identity["kind"] == "check":
        return digest([identity["task"], identity["test_images"], identity["check"]])
    if identity["kind"] == "attack":
        return digest([identity["task"], identity["test_images"], identity["attack"]])
    return digest([task, identity["task"], identity["precision"], _pairs(identity)])


def _earlier_seconds(store: Store) -> dict[str, float]:
    found = {}
    for path in sorted(
        path for kind in ("train", "attack", "check") for path in store.root.glob(f"{kind}-*/spec.json")
    ):
        if store.damage(path.parent.name):
            continue
        spec = store.spec(path.parent.name)
        found[_work_of(spec["identity"], spec["context"].get("task", ""))] = float(spec["seconds"])
    return found


def _seconds(job: Job, training: Job, trial: Callable[[], tuple[float, float]]) -> float | None:
    """Return the seconds of a job from those of a trial: forward only, and forward and backward, of one image."""
    task = TrainingSpec(**training.identity["task"]["training"])
    data = load(job.context["data"])
    if job.kind == "train":
        examples = min(len(data.train_images), task.train_images or len(data.train_images))
        images_a_step = task.batch_size + 2 * _pairs(job.identity)
        return trial()[1] * images_a_step * task.epochs * examples / task.batch_size
    if job.kind == "check":
        return IMAGES * (trial()[1] * GRADIENTS_OF_A_CHECK + trial()[0] * QUERIES_OF_A_CHECK)
    attack = job.identity["attack"]
    if attack["access"] in ("none", "transfer"):
        return trial()[0] * _attacked(job) * len(attack["strengths"])
    if attack["evaluation"]["budget"]:
        searches = 1 if attack["access"] == "decisions" else len(attack["strengths"]) - 1
        return trial()[0] * _attacked(job) * attack["evaluation"]["budget"] * searches
    a_step = QUERIES_OF_A_STEP.get(attack["attack"])
    steps = attack["parameters"].get("steps", attack["parameters"].get("max_iter"))
    return trial()[0] * _attacked(job) * a_step * steps if a_step and steps else None


def _attacked(job: Job) -> int:
    """Return how many images an attack is given, repetitions counted."""
    data, evaluation = load(job.context["data"]), job.identity["attack"]["evaluation"]
    images = 0 if data.test_images is None else len(data.test_images)
    for limit in (job.identity["test_images"], evaluation["images"]):
        images = min(images, limit or images)
    return int(images * evaluation["repetitions"])


def _pairs(identity: dict[str, Any]) -> int:
    regularization = identity["regularization"]
    return int(regularization["parameters"].get("pairs", DEFAULT_PAIRS)) if regularization else 0


def _bytes(job: Job) -> float:
    if job.kind == "train":
        state = network_of(job.identity, job.context).state_dict()
        return sum(value.numel() * value.element_size() for value in state.values())
    if job.kind == "check":
        return IMAGES * BYTES_OF_AN_EXAMPLE
    return _attacked(job) * max(1, len(job.identity["attack"]["strengths"])) * BYTES_OF_AN_EXAMPLE


def _trial(job: Job, device: str) -> tuple[float, float]:
    """Return the seconds of one image: forward only, and forward and backward; the faster of two tries."""
    data = load(job.context["data"])
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

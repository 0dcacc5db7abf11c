"""What a request would do before it is done: jobs, time and disk. Time comes from earlier runs, else from a trial."""

import time
from typing import Any

import torch
from torch.nn import functional

from robustbench_pix.catalogue.specs import TrainingSpec
from robustbench_pix.devices import resolve_device, worker_devices
from robustbench_pix.identity import digest
from robustbench_pix.regularizers.base import DEFAULT_PAIRS
from robustbench_pix.runs.jobs import Job, load
from robustbench_pix.runs.planning import make_plan
from robustbench_pix.runs.request import Request
from robustbench_pix.runs.running import Means
from robustbench_pix.runs.scheduling import missing_jobs
from robustbench_pix.runs.store import Store
from robustbench_pix.runs.training_job import network_of

BYTES_PER_EXAMPLE = 40
TRIAL_IMAGES = 16


def estimate(request: Request, means: Means) -> list[dict[str, Any]]:
    """Return one row a kind of job, and the sum: how many, how long in all, how much disk.

    Trainings that resemble an earlier run of this workspace take its time; others that of a trial step. Attacks take
    that of the same attack on the same task; attacks that were never run say so.
    """
    device = resolve_device(means.device)
    devices = worker_devices(device, means.workers)
    plan, store = make_plan(request), Store(request.workspace.runs)
    missing = (
        missing_jobs(plan.jobs.values(), store, report=lambda text: None)
        if store.root.is_dir()
        else list(plan.jobs.values())
    )
    known = _earlier_seconds(store)
    groups: dict[str, list[tuple[float | None, float]]] = {}
    for job in missing:
        name = "train" if job.kind == "train" else f"attack: {job.context['attack']}"
        groups.setdefault(name, []).append((_seconds(job, known, devices[0]), _megabytes(job)))
    rows = [_row(name, costs, len(devices)) for name, costs in groups.items()]
    everything = [cost for costs in groups.values() for cost in costs]
    return [*rows, _row("all", everything, len(devices))]


def _row(name: str, costs: list[tuple[float | None, float]], workers: int) -> dict[str, Any]:
    seconds = [cost for cost, _ in costs if cost is not None]
    unknown = len(costs) - len(seconds)
    note = f"{unknown} never run before, not counted" if unknown else ""
    return {
        "jobs": name,
        "count": len(costs),
        "minutes": round(sum(seconds) / 60 / workers, 1),
        "megabytes": round(sum(size for _, size in costs), 1),
        "note": note,
    }


def _kind(identity: dict[str, Any]) -> str:
    """Return what jobs that take the same time share."""
    if identity["kind"] == "train":
        regularization = identity["regularization"]
        pairs = regularization["parameters"].get("pairs", DEFAULT_PAIRS) if regularization else 0
        return digest([identity["task"], identity["precision"], pairs])
    return digest([identity["task"], identity["test_images"], identity["attack"]])


def _earlier_seconds(store: Store) -> dict[str, float]:
    specs = [store.spec(path.parent.name) for path in sorted(store.root.glob("*/spec.json"))]
    return {_kind(spec["identity"]): spec["seconds"] for spec in specs}


def _seconds(job: Job, known: dict[str, float], device: str) -> float | None:
    kind = _kind(job.identity)
    if kind not in known and job.kind == "train":
        known[kind] = _trial(job, device)
    return known.get(kind)


def _trial(job: Job, device: str) -> float:
    """Return the seconds of a training, from one forward and backward pass of a few images."""
    data, spec = load(job.context["data"]), TrainingSpec(**job.identity["task"]["training"])
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    network = network_of(job.identity, job.context, channels=data.train_images.shape[1], classes=data.classes).to(
        device
    )
    images = data.train_images[:TRIAL_IMAGES].to(device).float() / 255
    labels = torch.zeros(len(images), dtype=torch.int64, device=device)
    times = []
    for _ in range(2):
        started = time.monotonic()
        functional.cross_entropy(network(images), labels).backward()
        torch.cuda.synchronize() if device.startswith("cuda") else None
        times.append(time.monotonic() - started)
    torch.set_num_threads(threads)
    regularization = job.identity["regularization"]
    pairs = regularization["parameters"].get("pairs", DEFAULT_PAIRS) if regularization else 0
    examples = min(len(data.train_images), spec.train_images or len(data.train_images))
    a_step = (spec.batch_size + 2 * pairs) / len(images) * min(times)
    return a_step * spec.epochs * examples / spec.batch_size


def _megabytes(job: Job) -> float:
    if job.kind == "train":
        network = network_of(job.identity, job.context, channels=1, classes=10)
        return sum(value.numel() * value.element_size() for value in network.state_dict().values()) / 1e6
    attack, evaluation = job.identity["attack"], job.identity["attack"]["evaluation"]
    data = load(job.context["data"])
    images = min(len(data.test_images) if data.test_images is not None else 0, job.identity["test_images"] or 10**9)
    images = min(images, evaluation["images"] or images)
    return images * evaluation["repetitions"] * max(1, len(attack["strengths"])) * BYTES_PER_EXAMPLE / 1e6

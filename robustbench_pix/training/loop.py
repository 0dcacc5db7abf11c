"""The training loop: L = L_task + alpha L_reg (equation 1), three train-mode forward passes a step, best epoch kept.

``training`` is a generator that yields after each step, so that several models can be trained side by side
(``side_by_side.py``). It does not wait for the device within an epoch.
"""

import math
from collections.abc import Callable, Generator
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from robustbench_pix.catalogue.specs import TrainingSpec
from robustbench_pix.cuda_graphs import CapturedStep, capturer_for, side_stream
from robustbench_pix.devices import arithmetic
from robustbench_pix.errors import JobFailedError
from robustbench_pix.foreign import foreign_code
from robustbench_pix.networks.inference import layout
from robustbench_pix.recipes.contract import Recipe, defines
from robustbench_pix.recipes.tools import Tools
from robustbench_pix.training.batches import ResidentPlan, TrainingData, as_input
from robustbench_pix.training.plan import batch_sizes, epoch_plan, learning_rate
from robustbench_pix.training.sgd import FusedSGD
from robustbench_pix.training.step import TrainingStep

VALIDATION_BATCH = 256

Training = Generator[None, None, "Trained"]
"""A training in progress: each ``next`` launches another step; at the end it returns the trained state."""


@dataclass(frozen=True)
class Trained:
    """The state of the epoch with the lowest validation cross-entropy, which epoch that was, and the log."""

    state: dict[str, Tensor]
    best_epoch: int
    log: list[dict[str, float]]


def train(network: nn.Module, recipe: Recipe | None, data: TrainingData, spec: TrainingSpec, *, seed: int,
          alpha: float, device: str, precision: str = "float32") -> Trained:  # fmt: skip
    """Train one network alone; see ``training``."""
    steps = training(network, recipe, data, spec, seed=seed, alpha=alpha, device=device, precision=precision)
    with side_stream(device):
        while True:
            try:
                next(steps)
            except StopIteration as end:
                trained: Trained = end.value
                return trained


def training(
    network: nn.Module,
    recipe: Recipe | None,
    data: TrainingData,
    spec: TrainingSpec,
    *,
    seed: int,
    alpha: float,
    device: str,
    precision: str = "float32",
    progress: Callable[[float], None] = lambda fraction: None,
) -> Training:
    """Train a network in place, step by step, and return its best epoch.

    The optimizer is SGD with momentum over the network's parameters and the recipe's. Without a recipe no
    pairs are drawn and no forward passes made for them.

    Raises:
        JobFailedError: a loss is not finite, the recipe raised or returned no scalar, or its first penalty has no
            gradient to the network.
    """
    memory_format = layout(network, device)
    network.to(memory_format=memory_format)
    parameters = [*network.parameters(), *(recipe.parameters() if recipe else ())]
    rate = torch.zeros((), device=device)
    optimizer = FusedSGD(parameters, rate=rate, momentum=spec.momentum, weight_decay=spec.weight_decay)
    batches = ResidentPlan(data, next(network.parameters()).dtype, memory_format)
    images = {"task": data.images, "regularization": data.regularization_images}
    tools = Tools(network, images, batches.as_input, seed, data.labels)
    step = TrainingStep(network, recipe, batches, tools, optimizer, alpha=alpha, device=device, precision=precision)
    sizes = batch_sizes(spec, len(data.images))
    capturer = capturer_for(device)
    steps = {size: CapturedStep(partial(step, size), capturer) for size in sizes}
    best_loss, best_epoch, best_state, log = math.inf, 0, _snapshot(network), []
    for epoch in range(spec.epochs):
        rate.fill_(learning_rate(spec, epoch))
        if recipe is not None and defines(recipe, "begin"):
            _called("begin", recipe.begin, epoch, tools)
        batches.begin(
            epoch_plan(
                spec,
                seed=seed,
                epoch=epoch,
                images=len(data.images),
                pairs=recipe.pairs if recipe else 0,
                regularization_images=len(data.regularization_images),
                allowed=recipe.allowed() if recipe else None,
                singles=recipe.singles if recipe else 0,
            )
        )
        step.totals.zero_()
        network.train()
        for size in sizes:
            steps[size]()
            yield
        validated = validate(network, data.validation_images, data.validation_labels)
        yield
        row = {
            "epoch": epoch,
            "learning_rate": learning_rate(spec, epoch),
            "task_loss": float(step.totals[0]) / len(sizes),
            "penalty": float(step.totals[1]) / len(sizes),
            **{name: float(value) for name, value in validated.items()},
            **(_called("report", recipe.report) if recipe else {}),
        }
        _require_finite(row)
        log.append(row)
        if row["validation_loss"] < best_loss:
            best_loss, best_epoch, best_state = row["validation_loss"], epoch, _snapshot(network)
        progress((epoch + 1) / spec.epochs)
    return Trained(best_state, best_epoch, log)


@torch.no_grad()
def validate(network: nn.Module, images: Tensor, labels: Tensor) -> dict[str, Tensor]:
    """Return the cross-entropy and the accuracy on validation images, in eval mode and float32, still on the device."""
    network.eval()
    dtype = next(network.parameters()).dtype
    with arithmetic("float32"):
        batches = (
            as_input(batch, dtype, layout(network, str(images.device))) for batch in images.split(VALIDATION_BATCH)
        )
        logits = torch.cat([network(batch) for batch in batches])
    return {
        "validation_loss": functional.cross_entropy(logits, labels),
        "validation_accuracy": (logits.argmax(dim=1) == labels).double().mean(),
    }


def _called(slot: str, function: Callable[..., Any], *arguments: Any) -> Any:
    try:
        with foreign_code():
            return function(*arguments)
    except JobFailedError:
        raise
    except Exception as error:
        raise JobFailedError(f"the recipe's {slot} raised {type(error).__name__}: {error}") from error


def _snapshot(network: nn.Module) -> dict[str, Tensor]:
    return {name: value.detach().clone() for name, value in network.state_dict().items()}


def _require_finite(row: dict[str, float]) -> None:
    for name in ("penalty", "task_loss", "validation_loss"):
        if not math.isfinite(row[name]):
            raise JobFailedError(f"the {name.replace('_', ' ')} was not finite in epoch {int(row['epoch']) + 1}")

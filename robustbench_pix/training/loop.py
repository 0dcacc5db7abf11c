"""The training loop: L = L_task + alpha L_reg (equation 1), three train-mode forward passes a step, best epoch kept.

``training`` is a generator that yields after each step, so that several models can be trained side by side
(``side_by_side.py``). It does not wait for the device within an epoch.
"""

import math
from collections.abc import Callable, Generator
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor, nn
from torch.nn import functional

from robustbench_pix.catalogue.specs import TrainingSpec
from robustbench_pix.cuda_graphs import CapturedStep, capturer_for, side_stream
from robustbench_pix.devices import arithmetic, autocast
from robustbench_pix.errors import JobFailedError
from robustbench_pix.networks.inference import layout
from robustbench_pix.regularizers.base import Regularizer
from robustbench_pix.training.plan import batch_sizes, epoch_plan, learning_rate
from robustbench_pix.training.sgd import FusedSGD
from robustbench_pix.training.steps import (
    GradientWatch,
    ResidentPlan,
    TrainingData,
    as_input,
    at_least_float32,
    gains_from_fusion,
    passes_for_statistics,
    penalty_of,
    three_passes,
)

VALIDATION_BATCH = 256

Training = Generator[None, None, "Trained"]
"""A training in progress: each ``next`` launches another step; at the end it returns the trained state."""


@dataclass(frozen=True)
class Trained:
    """The state of the epoch with the lowest validation cross-entropy, which epoch that was, and the log."""

    state: dict[str, Tensor]
    best_epoch: int
    log: list[dict[str, float]]


def train(network: nn.Module, regularizer: Regularizer | None, data: TrainingData, spec: TrainingSpec, *, seed: int,
          alpha: float, device: str, precision: str = "float32") -> Trained:  # fmt: skip
    """Train one network alone; see ``training``."""
    steps = training(network, regularizer, data, spec, seed=seed, alpha=alpha, device=device, precision=precision)
    with side_stream(device):
        while True:
            try:
                next(steps)
            except StopIteration as end:
                trained: Trained = end.value
                return trained


def training(
    network: nn.Module,
    regularizer: Regularizer | None,
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

    The optimizer is SGD with momentum over the network's parameters and the regularizer's. Without a regularizer no
    pairs are drawn and no forward passes made for them.

    Raises:
        JobFailedError: a loss is not finite, the regularizer raised or returned no scalar, or its first penalty has no
            gradient to the network.
    """
    memory_format = layout(network, device)
    network.to(memory_format=memory_format)
    parameters = [*network.parameters(), *(regularizer.parameters() if regularizer else ())]
    rate = torch.zeros((), device=device)
    optimizer = FusedSGD(parameters, rate=rate, momentum=spec.momentum, weight_decay=spec.weight_decay)
    batches = ResidentPlan(data, next(network.parameters()).dtype, memory_format)
    fused = gains_from_fusion(network, data.images)
    totals, unwatched = torch.zeros(2, device=device), [True]

    def step(size: int) -> None:
        images, labels = batches.task_batch(size)
        penalty, watch = None, None
        with arithmetic(precision), autocast(device, precision):
            if regularizer is None:
                logits = network(images)
            elif not regularizer.penalizes:
                pairs = batches.pair_batch()
                logits = network(images)
                passes_for_statistics(network, pairs.first, pairs.second, fused=fused)
            else:
                pairs = batches.pair_batch()
                logits, first, second = three_passes(network, images, pairs.first, pairs.second, fused=fused)
                watch = GradientWatch([*first, *second]) if unwatched else None
                unwatched.clear()
                penalty = penalty_of(regularizer, pairs, first, second, device)
            task_loss = functional.cross_entropy(at_least_float32(logits), labels)
            loss = task_loss if penalty is None else task_loss + alpha * penalty
        with arithmetic(precision):
            optimizer.zero_grad()
            loss.backward()
            if watch is not None:
                watch.require_reached()
            optimizer.step()
        totals[0] += task_loss.detach()
        if penalty is not None:
            totals[1] += penalty.detach()

    sizes = batch_sizes(spec, len(data.images))
    capturer = capturer_for(device)
    steps = {size: CapturedStep(partial(step, size), capturer) for size in sizes}
    best_loss, best_epoch, best_state, log = math.inf, 0, _snapshot(network), []
    for epoch in range(spec.epochs):
        rate.fill_(learning_rate(spec, epoch))
        batches.begin(
            epoch_plan(
                spec,
                seed=seed,
                epoch=epoch,
                images=len(data.images),
                pairs=regularizer.pairs if regularizer else 0,
                regularization_images=len(data.regularization_images),
                allowed=regularizer.allowed() if regularizer else None,
            )
        )
        totals.zero_()
        network.train()
        for size in sizes:
            steps[size]()
            yield
        validated = validate(network, data.validation_images, data.validation_labels)
        yield
        row = {
            "epoch": epoch,
            "learning_rate": learning_rate(spec, epoch),
            "task_loss": float(totals[0]) / len(sizes),
            "penalty": float(totals[1]) / len(sizes),
            **{name: float(value) for name, value in validated.items()},
            **(regularizer.report() if regularizer else {}),
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


def _snapshot(network: nn.Module) -> dict[str, Tensor]:
    return {name: value.detach().clone() for name, value in network.state_dict().items()}


def _require_finite(row: dict[str, float]) -> None:
    for name in ("penalty", "task_loss", "validation_loss"):
        if not math.isfinite(row[name]):
            raise JobFailedError(f"the {name.replace('_', ' ')} was not finite in epoch {int(row['epoch']) + 1}")

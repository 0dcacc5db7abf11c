"""The training loop: L = L_task + alpha L_reg (equation 1), three train-mode forwards a step, the best epoch kept."""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from robustbench_pix.catalogue.specs import TrainingSpec
from robustbench_pix.data.augmentation import crop_and_flip
from robustbench_pix.devices import arithmetic, autocast
from robustbench_pix.errors import JobFailedError
from robustbench_pix.networks.building import features
from robustbench_pix.regularizers.base import PairStep, Regularizer
from robustbench_pix.regularizers.pairs import pair_count, unrank
from robustbench_pix.training.plan import draw_ranks, epoch_plan, learning_rate

VALIDATION_BATCH = 256


@dataclass(frozen=True)
class TrainingData:
    """Images uint8 (N, C, H, W) and labels int64 (N,), all on the device that trains."""

    images: Tensor
    labels: Tensor
    validation_images: Tensor
    validation_labels: Tensor
    regularization_images: Tensor


@dataclass(frozen=True)
class Trained:
    """The state of the epoch with the lowest validation cross-entropy, which epoch that was, and the log."""

    state: dict[str, Tensor]
    best_epoch: int
    log: list[dict[str, float]]


def train(
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
) -> Trained:
    """Train a network in place and return its best epoch.

    The optimizer is SGD with momentum over the network's parameters and the regularizer's. Without a regularizer no
    pair is drawn and no forward done for one.

    Raises:
        JobFailedError: a loss is not finite, or the regularizer raised or returned no scalar.
    """
    parameters = [*network.parameters(), *(regularizer.parameters() if regularizer else ())]
    optimizer = torch.optim.SGD(
        parameters, lr=spec.learning_rate, momentum=spec.momentum, weight_decay=spec.weight_decay
    )
    best_loss, best_epoch, best_state, log = math.inf, 0, _snapshot(network), []
    for epoch in range(spec.epochs):
        for group in optimizer.param_groups:
            group["lr"] = learning_rate(spec, epoch)
        pairs = regularizer.pairs if regularizer else 0
        plan = epoch_plan(spec, seed=seed, epoch=epoch, images=len(data.images), pairs=pairs)
        task_total, penalty_total = torch.zeros((), device=device), torch.zeros((), device=device)
        network.train()
        for step, numbers in enumerate(plan.batches):
            numbers = numbers.to(device)
            batch = data.images[numbers]
            if plan.crops is not None:
                rows, columns, flips = (part.to(device) for part in plan.crops[step])
                batch = crop_and_flip(batch, rows, columns, flips)
            with arithmetic(precision), autocast(device, precision):
                logits = network(_as_input(batch, network))
                task_loss = functional.cross_entropy(_at_least_float32(logits), data.labels[numbers])
                penalty = None
                if regularizer is not None:
                    penalty = _penalty(network, regularizer, data, plan.pair_uniforms[step], device)
                loss = task_loss if penalty is None else task_loss + alpha * penalty
            with arithmetic(precision):
                optimizer.zero_grad(set_to_none=True)
                loss.backward()
                optimizer.step()
            task_total += task_loss.detach()
            penalty_total += 0.0 if penalty is None else penalty.detach()
        steps = len(plan.batches)
        row = {
            "epoch": epoch,
            "learning_rate": learning_rate(spec, epoch),
            "task_loss": float(task_total) / steps,
            "penalty": float(penalty_total) / steps,
            **validate(network, data.validation_images, data.validation_labels, device=device),
            **(regularizer.report() if regularizer else {}),
        }
        _require_finite(row)
        log.append(row)
        if row["validation_loss"] < best_loss:
            best_loss, best_epoch, best_state = row["validation_loss"], epoch, _snapshot(network)
        progress((epoch + 1) / spec.epochs)
    return Trained(best_state, best_epoch, log)


@torch.no_grad()
def validate(network: nn.Module, images: Tensor, labels: Tensor, *, device: str) -> dict[str, float]:
    """Return the cross-entropy and the accuracy on validation images, in eval mode and float32."""
    network.eval()
    with arithmetic("float32"):
        parts = [network(_as_input(batch, network)) for batch in images.split(VALIDATION_BATCH)]
    logits = torch.cat(parts)
    return {
        "validation_loss": float(functional.cross_entropy(logits, labels)),
        "validation_accuracy": int((logits.argmax(dim=1) == labels).sum()) / len(labels),
    }


def _penalty(
    network: nn.Module, regularizer: Regularizer, data: TrainingData, uniforms: np.ndarray, device: str
) -> Tensor | None:
    """Do the forwards of the pairs' first and of their second images, in that order, and return the penalty."""
    images = data.regularization_images
    ranks = draw_ranks(uniforms, pair_count(len(images)), regularizer.allowed())
    rows, columns = (side.to(device) for side in unrank(ranks, len(images)))
    first_images, second_images = _as_input(images[rows], network), _as_input(images[columns], network)
    first, second = (
        [_at_least_float32(layer) for layer in features(network, side)] for side in (first_images, second_images)
    )
    pair_step = PairStep(first, second, first_images, second_images, ranks.to(device))
    try:
        with torch.autocast(torch.device(device).type, enabled=False):
            penalty = regularizer(pair_step)
    except Exception as error:
        raise JobFailedError(f"the regularizer raised {type(error).__name__}: {error}") from error
    if penalty is not None and (not isinstance(penalty, Tensor) or penalty.ndim != 0):
        raise JobFailedError(f"the regularizer returned {_kind(penalty)} where a scalar tensor is expected")
    return penalty


def _as_input(images: Tensor, network: nn.Module) -> Tensor:
    """Return uint8 images as floats in [0, 1], in the type of the network's weights."""
    return images.to(next(network.parameters()).dtype) / 255


def _at_least_float32(values: Tensor) -> Tensor:
    return values if values.dtype == torch.float64 else values.float()


def _snapshot(network: nn.Module) -> dict[str, Tensor]:
    return {name: value.detach().clone() for name, value in network.state_dict().items()}


def _require_finite(row: dict[str, float]) -> None:
    for name in ("penalty", "task_loss", "validation_loss"):
        if not math.isfinite(row[name]):
            raise JobFailedError(f"the {name.replace('_', ' ')} was not finite in epoch {int(row['epoch']) + 1}")


def _kind(value: object) -> str:
    return f"a tensor of shape {tuple(value.shape)}" if isinstance(value, Tensor) else f"a {type(value).__name__}"

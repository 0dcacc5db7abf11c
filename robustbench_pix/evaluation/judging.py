"""Judge what an attack returns: finite, in bounds, how far, and does the model really get it wrong."""

from typing import NamedTuple

import torch
from torch import Tensor, nn

from robustbench_pix.devices import arithmetic
from robustbench_pix.errors import JobFailedError

BOUNDS_TOLERANCE = 1e-4
RADIUS_TOLERANCE = 1e-6
RADIUS_TOLERANCE_SHARE = 1e-4
"""A radius may be exceeded by the sum of both: rounding, and never a visible part of a small radius."""


class Verdict(NamedTuple):
    """For each image (N,): the prediction, whether the attack failed on it, and the perturbation's norms."""

    prediction: Tensor
    failed: Tensor
    l2: Tensor
    linf: Tensor


def judge_batch(device: str) -> int:
    """Return how many images are judged at once; a matter of speed."""
    return 128 if device == "cpu" else 2048


@torch.no_grad()
def predict(network: nn.Module, images: Tensor, *, device: str) -> Tensor:
    """Return the predicted classes, int64 (N,), by a float32 forward pass without TF32; the caller sets eval mode."""
    with arithmetic("float32"):
        parts = [network(batch).argmax(dim=1) for batch in images.split(judge_batch(device))]
    return torch.cat(parts) if parts else torch.zeros(0, dtype=torch.int64, device=images.device)


def accept(returned: Tensor | None, images: Tensor) -> Tensor:
    """Return what an attack returned for images, detached, of their type and on their device.

    Raises:
        JobFailedError: it is not one image for each image.
    """
    if returned is None or returned.shape != images.shape:
        what = "nothing" if returned is None else f"the shape {tuple(returned.shape)}"
        raise JobFailedError(f"the attack returned {what} for images of the shape {tuple(images.shape)}")
    return returned.detach().to(images)


def judge(
    network: nn.Module, clean: Tensor, perturbed: Tensor, *, device: str, norm: str = "", radius: float | None = None
) -> Verdict:
    """Judge perturbed images, both float32 (N, C, H, W).

    An image that is not finite, leaves [0, 1], or leaves the ball of ``radius`` in ``norm`` (l2 or linf) is a failure
    of the attack and is judged as the clean image. Rounding errors are clamped away.
    """
    broken = ~torch.isfinite(perturbed).flatten(1).all(dim=1)
    outside = ((perturbed < -BOUNDS_TOLERANCE) | (perturbed > 1 + BOUNDS_TOLERANCE)).flatten(1).any(dim=1)
    failed = broken | outside
    perturbed = torch.where(failed[:, None, None, None], clean, perturbed.clamp(0, 1))
    l2, linf = _norms(perturbed - clean)
    if radius is not None and norm in ("l2", "linf"):
        allowed = radius + RADIUS_TOLERANCE + RADIUS_TOLERANCE_SHARE * radius
        too_far = (l2 if norm == "l2" else linf) > allowed
        failed = failed | too_far
        perturbed = torch.where(too_far[:, None, None, None], clean, perturbed)
        l2, linf = _norms(perturbed - clean)
    return Verdict(predict(network, perturbed, device=device), failed, l2, linf)


def _norms(difference: Tensor) -> tuple[Tensor, Tensor]:
    flat = difference.flatten(1)
    return flat.norm(dim=1), flat.abs().amax(dim=1)

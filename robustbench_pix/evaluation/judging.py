"""Judging of perturbed images: finite, in bounds, within the radius, and really misclassified."""

from typing import NamedTuple

import torch
from torch import Tensor, nn

from robustbench_pix.attacks.common.norms import reach
from robustbench_pix.attacks.recorded import NO_ANSWER
from robustbench_pix.devices import arithmetic
from robustbench_pix.errors import JobFailedError

BOUNDS_TOLERANCE = 1e-4


class Verdict(NamedTuple):
    """For each image (N,): the prediction, whether the attack failed on it, and the perturbation's norms.

    ``images`` are the judged ones, float32 in [0, 1], (N, C, H, W).
    """

    prediction: Tensor
    failed: Tensor
    l2: Tensor
    linf: Tensor
    images: Tensor


def judge_batch(device: str, entries: int) -> int:
    """Return the batch size for images of ``entries`` = C x H x W; affects speed only.

    Measured on one thread: images of 8x8 pixels take 11 us each in batches of 512 and 19 us in batches of 64, by the
    overhead of calling layers; images of 28x28 and 32x32 pixels take up to half as long again in batches of 256 or more
    as in batches of 64, since the feature maps exceed the caches, and the C library returns their memory to the system
    after each layer.
    """
    return max(64, 2**15 // entries) if device == "cpu" else 2048


@torch.no_grad()
def predict(network: nn.Module, images: Tensor, *, device: str) -> Tensor:
    """Return the predicted classes, int64 (N,), by a float32 forward pass without TF32; the caller sets eval mode.

    ``NO_ANSWER`` where a logit is not finite.
    """
    together = judge_batch(device, images.shape[1:].numel())
    with arithmetic("float32"):
        parts = [_classes(network(batch)) for batch in images.split(together)]
    return torch.cat(parts) if parts else torch.zeros(0, dtype=torch.int64, device=images.device)


def _classes(logits: Tensor) -> Tensor:
    return logits.argmax(dim=1).masked_fill(~logits.isfinite().all(dim=1), NO_ANSWER)


def accept(returned: Tensor | None, images: Tensor) -> Tensor:
    """Return an attack's result, detached, of the type and on the device of the images.

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

    An image that is not finite, leaves [0, 1], or leaves the ball of ``radius`` in ``norm`` (l1, l2 or linf) is a
    failure of the attack and is judged as the clean image. Rounding errors are clamped away.
    """
    entries = perturbed.flatten(1)
    inside = (entries.amin(dim=1) >= -BOUNDS_TOLERANCE) & (entries.amax(dim=1) <= 1 + BOUNDS_TOLERANCE)
    failed = ~inside  # NaN is neither above nor below anything.
    perturbed = perturbed.clamp(0, 1)
    difference = (perturbed - clean).flatten(1)
    l2, linf = difference.norm(dim=1), torch.maximum(difference.amax(dim=1), -difference.amin(dim=1))
    if radius is not None and norm in ("l1", "l2", "linf"):
        failed |= {"l1": difference.abs().sum(dim=1), "l2": l2, "linf": linf}[norm] > reach(radius)
    perturbed = torch.where(failed[:, None, None, None], clean, perturbed)
    prediction = predict(network, perturbed, device=device)
    return Verdict(prediction, failed, l2.masked_fill(failed, 0), linf.masked_fill(failed, 0), perturbed)


def unmoved(prediction: Tensor, images: Tensor) -> Verdict:
    """Return the verdict on images that an attack left unchanged, bit for bit, with known predictions."""
    nowhere = images.new_zeros(len(images))
    return Verdict(prediction, torch.zeros_like(prediction, dtype=torch.bool), nowhere, nowhere, images)

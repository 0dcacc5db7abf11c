"""Judge what an attack returns: finite, in bounds, how far, and does the model really get it wrong."""

from typing import NamedTuple

import torch
from torch import Tensor, nn

from robustbench_pix.attacks.geometry import reach
from robustbench_pix.devices import arithmetic
from robustbench_pix.errors import JobFailedError

BOUNDS_TOLERANCE = 1e-4


class Verdict(NamedTuple):
    """For each image (N,): the prediction, whether the attack failed on it, and the perturbation's norms.

    ``images`` are those that were judged, float32 in [0, 1], (N, C, H, W).
    """

    prediction: Tensor
    failed: Tensor
    l2: Tensor
    linf: Tensor
    images: Tensor


def judge_batch(device: str, entries: int) -> int:
    """Return how many images of so many entries (C x H x W) are judged at once; a matter of speed.

    Measured on one thread: images of 8x8 pixels take 11 us each by 512 and 19 us by 64, where calling layers is what
    takes time; those of 28x28 and 32x32 pixels take up to half as long again by 256 or more as by 64, since the feature
    maps outgrow the caches, and the C library gives their memory back to the system after each layer.
    """
    return max(64, 2**15 // entries) if device == "cpu" else 2048


@torch.no_grad()
def predict(network: nn.Module, images: Tensor, *, device: str) -> Tensor:
    """Return the predicted classes, int64 (N,), by a float32 forward pass without TF32; the caller sets eval mode."""
    together = judge_batch(device, images.shape[1:].numel())
    with arithmetic("float32"):
        parts = [network(batch).argmax(dim=1) for batch in images.split(together)]
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
    """Return the verdict on images that an attack left as they were, bit for bit, of which the prediction is known."""
    nowhere = images.new_zeros(len(images))
    return Verdict(prediction, torch.zeros_like(prediction, dtype=torch.bool), nowhere, nowhere, images)

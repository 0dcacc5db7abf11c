"""Evidence of masked gradients: what attacks that follow gradients find, beside what others find, image by image.

The signs of Carlini et al. 2019 (arXiv 1902.06705, section 4) and Athalye, Carlini, Wagner 2018 (arXiv 1802.00420,
section 3.1), each as a question about one image that ``results/masking.py`` counts.
"""

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from robustbench_pix.attacks.base import Attack, ImageKey
from robustbench_pix.attacks.keyed import KeyedNoise
from robustbench_pix.attacks.projected_gradient import ProjectedGradient
from robustbench_pix.attacks.square import SquareAttack
from robustbench_pix.catalogue.specs import EvaluationSpec
from robustbench_pix.devices import arithmetic
from robustbench_pix.errors import JobFailedError
from robustbench_pix.evaluation.batch import Case
from robustbench_pix.evaluation.evaluate import evaluate

IMAGES = 64
STEPS, FEW_STEPS, RESTARTS = 40, 10, 3
QUERIES = 500
UNBOUNDED = 1.0
"""An linf radius within which every image lies."""

PROBES = 8
PROBE_SHARE = 0.25
"""Of the radius: how far the loss is looked at around an image."""

SAME_SHARE = 1e-5
"""Of the largest logit: what two answers may differ by rounding."""


def gather(
    network: nn.Module,
    source: nn.Module,
    images: Tensor,
    labels: Tensor,
    *,
    task: str,
    radius: float,
    classes: int,
    device: str,
) -> pd.DataFrame:
    """Return one row for each image that the model gets right, of at most 64 test images drawn by a fixed key.

    Args:
        network: the model, on the device, in eval mode.
        source: an unregularized model of the same architecture.
        images: float32 in [0, 1], (N, C, H, W), on the device; labels int64 (N,).
        radius: linf, at which some images are broken and some are not.

    Returns:
        ``index`` and, each a bool: ``restart_1`` to ``restart_3``, what 40 steps of projected gradient ascent find from
        that start; ``few_steps``, 10 steps; ``larger``, twice the radius; ``unbounded``, radius 1; ``square``, 500
        queries of scores; ``transfer``, ascent with momentum on the source; ``changing``, the logits differ when asked
        again; ``zero_gradient``; ``flat``, no logit moves at random points nearby; ``uphill``, the gradient's sign
        raises the loss more than any of eight random signs.

    Raises:
        JobFailedError: the model gets none of the images right.
    """

    def examined(attack: Attack, access: str, strengths: list[float], repetitions: int = 1) -> pd.DataFrame:
        evaluation = EvaluationSpec(images=IMAGES, repetitions=repetitions)
        case = Case(task, "strict", access, "linf", (0.0, *strengths), evaluation, classes)
        of = source if access == "transfer" else None
        examples = evaluate(network, of, attack, images, labels, case, device=device)
        return examples[examples["label"] == examples["clean_prediction"]]

    wider = min(2 * radius, UNBOUNDED)
    white = examined(ProjectedGradient(STEPS), "gradients", sorted({radius, wider, UNBOUNDED}), RESTARTS)
    few = examined(ProjectedGradient(FEW_STEPS), "gradients", [radius], RESTARTS)
    squares = examined(SquareAttack(QUERIES), "scores", [radius])
    momentum = ProjectedGradient(10, step_share=0.1, random_start=False, momentum=1.0)
    transferred = examined(momentum, "transfer", [radius])
    # One that answers at random is not right about the same images each time.
    right = sorted(set.intersection(*(set(examples["index"]) for examples in (white, few, squares, transferred))))
    if not right:
        raise JobFailedError("the model gets none of the images right, so that there is nothing to check")
    at_radius = _broken(white, radius, right)
    frame = pd.DataFrame(
        {
            "index": right,
            **{f"restart_{number + 1}": at_radius[:, number] for number in range(RESTARTS)},
            "few_steps": _broken(few, radius, right).any(axis=1),
            "larger": _broken(white, wider, right).any(axis=1),
            "unbounded": _broken(white, UNBOUNDED, right).any(axis=1),
            "square": _broken(squares, radius, right).any(axis=1),
            "transfer": _broken(transferred, radius, right).any(axis=1),
        }
    )
    rows = torch.tensor(right, device=images.device)
    keys = [ImageKey(task, int(index), 0, 0) for index in right]
    with arithmetic("float32"):  # Two answers in TF32 may differ by more than rounding.
        surface = look_around(network, images[rows], labels[rows], keys, radius * PROBE_SHARE)
    return frame.assign(**{name: values.cpu().numpy() for name, values in surface.items()})


def _broken(examples: pd.DataFrame, strength: float, images: list[int]) -> NDArray[np.bool_]:
    """Return whether images, given by their test index, were fooled at a strength, (images, repetitions)."""
    rows = examples[(examples["strength"] == strength) & examples["index"].isin(images)]
    rows = rows.sort_values(["index", "repetition"])
    return ~rows["correct"].to_numpy().reshape(len(images), -1)


def look_around(
    network: nn.Module, images: Tensor, labels: Tensor, keys: list[ImageKey], distance: float
) -> dict[str, Tensor]:
    """Return what the loss looks like around images (N, C, H, W): the last four columns of ``gather``, bool (N,)."""
    inputs = images.clone().requires_grad_()
    with torch.enable_grad():
        logits = network(inputs)
        (gradient,) = torch.autograd.grad(functional.cross_entropy(logits, labels, reduction="sum"), inputs)
    steepness = gradient.flatten(1).abs().amax(dim=1)
    noise = KeyedNoise(keys, "gradient-check", images.device)
    drawn = noise.uniform(torch.arange(PROBES, device=images.device), images[0].numel())
    with torch.no_grad():
        again, logits = network(images), logits.detach()
        uphill = network((images + distance * gradient.nan_to_num().sign()).clamp(0, 1))
        signs = torch.where(drawn < 0.5, -1.0, 1.0).reshape(PROBES, *images.shape)
        around = torch.stack([network((images + distance * sign).clamp(0, 1)) for sign in signs])
    same = SAME_SHARE * logits.abs().amax(dim=1)
    return {
        "changing": (again - logits).abs().amax(dim=1) > same,
        "zero_gradient": ~(steepness > 0) | ~steepness.isfinite(),
        "flat": (around - logits).abs().amax(dim=2).amax(dim=0) <= same,
        "uphill": _margins(uphill, labels) > torch.stack([_margins(other, labels) for other in around]).amax(dim=0),
    }


def _margins(logits: Tensor, labels: Tensor) -> Tensor:
    """Return the best other logit less the label's, (N,): the larger, the more wrong; it does not saturate."""
    own = logits.gather(1, labels[:, None]).flatten()
    return logits.scatter(1, labels[:, None], -torch.inf).amax(dim=1) - own

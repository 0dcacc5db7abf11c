"""Evidence of gradient masking: outcomes of gradient-based attacks beside those of other attacks, image by image.

The symptoms of Carlini et al. 2019 (arXiv 1902.06705, section 4) and Athalye, Carlini, Wagner 2018 (arXiv 1802.00420,
section 3.1), each as a statement about one image; ``results/gradient_masking.py`` counts them.
"""

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from robustbench_pix.attacks.base import Attack
from robustbench_pix.attacks.common.losses import margin
from robustbench_pix.attacks.common.philox import PhiloxNoise
from robustbench_pix.attacks.decision.hop_skip_jump import HopSkipJump
from robustbench_pix.attacks.gradient.projected_gradient import ProjectedGradient
from robustbench_pix.attacks.querying.oracle import NoGradientError, Oracle
from robustbench_pix.attacks.score.square import SquareAttack
from robustbench_pix.catalogue.specs import EvaluationSpec
from robustbench_pix.devices import arithmetic
from robustbench_pix.evaluation.batch import AttackSetting
from robustbench_pix.evaluation.evaluate import evaluate
from robustbench_pix.evaluation.nearest import FAB_STEPS, FAB_TARGETS, AdaptiveBoundary
from robustbench_pix.randomness import ImageKey

IMAGES = 64
STEPS, FEW_STEPS, RESTARTS = 40, 10, 3
QUERIES = 500
UNBOUNDED = 1.0
"""An linf radius within which every image lies."""

DECISION_IMAGES, DECISION_QUERIES = 8, 500
"""Number of images of the decision attack, and its query budget for each."""

PROBES = 8
PROBE_SHARE = 0.25
"""Share of the radius at which the loss around an image is probed."""

SAME_SHARE = 1e-5
"""Share of the largest logit by which two evaluations may differ by rounding."""


SURFACE = ("changing", "zero_gradient", "flat", "uphill")
"""Columns of ``loss_surface``."""


def gather(
    network: nn.Module,
    source: nn.Module,
    images: Tensor,
    labels: Tensor,
    *,
    task: str,
    radii: tuple[float, float],
    classes: int,
    device: str,
) -> pd.DataFrame:
    """Return one row for each image that the model gets right, of at most 64 test images drawn by a fixed key.

    A model without gradients is attacked without them; its white-box columns state that nothing was found.

    Args:
        network: the model, on the device, in eval mode.
        source: an unregularized model of the same architecture.
        images: float32 in [0, 1], (N, C, H, W), on the device; labels int64 (N,).
        radii: linf, ascending; at the first some images are broken and some are not.

    Returns:
        ``index`` and, each a bool: ``restart_1`` to ``restart_3``, what 40 steps of projected gradient ascent find from
        that start at the first radius; ``few_steps``, 10 steps; ``larger``, the second radius; ``unbounded``, radius 1;
        ``square``, 500 queries of scores; ``transfer``, ascent with momentum on the source; ``square_larger`` and
        ``transfer_larger``, at the second radius; ``changing``, the logits differ when computed again;
        ``zero_gradient``; ``flat``, no logit moves at random points nearby; ``uphill``, the gradient's sign raises the
        loss more than any of eight random signs. Beside them, of the first 8 images, NaN of the others, the l2
        distances ``by_decisions``, where HopSkipJump ended after 500 queries, and ``by_gradients``, where FAB did.
    """
    radius, wider = radii if radii[0] < radii[1] else (radii[0], min(2 * radii[0], UNBOUNDED))

    def examined(attack: Attack, access: str, strengths: list[float], repetitions: int = 1) -> pd.DataFrame | None:
        evaluation = EvaluationSpec(images=IMAGES, repetitions=repetitions)
        return _examples(attack, AttackSetting(task, "strict", access, "linf", (0.0, *strengths), evaluation, classes))

    def distances(attack: Attack, access: str, budget: int | None = None) -> "pd.Series[float]":
        evaluation = EvaluationSpec(images=DECISION_IMAGES, budget=budget)
        examples = _examples(attack, AttackSetting(task, "strict", access, "l2", (), evaluation, classes))
        return pd.Series(dtype=float) if examples is None else examples.set_index("index")["l2"].astype(float)

    def _examples(attack: Attack, setting: AttackSetting) -> pd.DataFrame | None:
        """Return the outcomes of images that are correct without attack, or None without a gradient."""
        of = source if setting.access == "transfer" else None
        try:
            examples = evaluate(network, of, attack, images, labels, setting, device=device)
        except NoGradientError:
            return None
        return examples[examples["label"] == examples["clean_prediction"]]

    both = [radius, wider]
    white = examined(ProjectedGradient(STEPS), "gradients", sorted({*both, UNBOUNDED}), RESTARTS)
    few = examined(ProjectedGradient(FEW_STEPS), "gradients", [radius], RESTARTS)
    squares = examined(SquareAttack(QUERIES), "scores", both)
    momentum = ProjectedGradient(10, step_share=0.1, random_start=False, momentum=1.0)
    transferred = examined(momentum, "transfer", both)
    # A model with random outputs is not correct on the same images each time.
    seen = [set(examples["index"]) for examples in (white, few, squares, transferred) if examples is not None]
    right = sorted(set.intersection(*seen))
    by_decisions = distances(HopSkipJump(), "decisions", DECISION_QUERIES) if right else pd.Series(dtype=float)
    by_gradients = distances(AdaptiveBoundary(FAB_STEPS, FAB_TARGETS), "gradients") if right else by_decisions
    if not len(by_gradients):  # Without a gradient nothing was found by one.
        by_gradients = pd.Series(np.inf, index=by_decisions.index)
    at_radius = _broken(white, radius, right)
    frame = pd.DataFrame(
        {
            "index": np.array(right, dtype=np.int64),
            **{f"restart_{number + 1}": at_radius[:, number] for number in range(RESTARTS)},
            "few_steps": _broken(few, radius, right).any(axis=1),
            "larger": _broken(white, wider, right).any(axis=1),
            "unbounded": _broken(white, UNBOUNDED, right).any(axis=1),
            "square": _broken(squares, radius, right).any(axis=1),
            "transfer": _broken(transferred, radius, right).any(axis=1),
            "square_larger": _broken(squares, wider, right).any(axis=1),
            "transfer_larger": _broken(transferred, wider, right).any(axis=1),
            "by_decisions": by_decisions.reindex(right).to_numpy(),
            "by_gradients": by_gradients.reindex(right).to_numpy(),
        }
    )
    rows = torch.tensor(right, dtype=torch.int64, device=images.device)
    keys = [ImageKey(task, int(index), 0, 0) for index in right]
    if not right:
        return frame.assign(**{name: np.zeros(0, dtype=bool) for name in SURFACE})
    with arithmetic("float32"):  # Two evaluations in TF32 may differ by more than rounding.
        surface = loss_surface(network, images[rows], labels[rows], keys, radius * PROBE_SHARE)
    return frame.assign(**{name: values.cpu().numpy() for name, values in surface.items()})


def _broken(examples: pd.DataFrame | None, strength: float, images: list[int]) -> NDArray[np.bool_]:
    """Return whether images, given by their test index, were fooled at a strength, (images, repetitions).

    None of them where there are no examples, since there was no gradient.
    """
    if examples is None or not images:
        return np.zeros((len(images), RESTARTS), dtype=bool)
    rows = examples[(examples["strength"] == strength) & examples["index"].isin(images)]
    rows = rows.sort_values(["index", "repetition"])
    return ~rows["correct"].to_numpy().reshape(len(images), -1)


def loss_surface(
    network: nn.Module, images: Tensor, labels: Tensor, keys: list[ImageKey], distance: float
) -> dict[str, Tensor]:
    """Return properties of the loss around images (N, C, H, W): the last four columns of ``gather``, bool (N,)."""
    logits, gradient = _slopes(network, images, labels)
    steepness = gradient.flatten(1).abs().amax(dim=1)
    noise = PhiloxNoise(keys, "gradient-check", images.device)
    drawn = noise.uniform(torch.arange(PROBES, device=images.device), images[0].numel())
    with torch.no_grad():
        again = network(images)
        uphill = network((images + distance * gradient.nan_to_num().sign()).clamp(0, 1))
        signs = torch.where(drawn < 0.5, -1.0, 1.0).reshape(PROBES, *images.shape)
        around = torch.stack([network((images + distance * sign).clamp(0, 1)) for sign in signs])
    same = SAME_SHARE * logits.abs().amax(dim=1)
    return {
        "changing": (again - logits).abs().amax(dim=1) > same,
        "zero_gradient": ~(steepness > 0) | ~steepness.isfinite(),
        "flat": (around - logits).abs().amax(dim=2).amax(dim=0) <= same,
        "uphill": margin(uphill, labels) < torch.stack([margin(other, labels) for other in around]).amin(dim=0),
    }


def _slopes(network: nn.Module, images: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    """Return the logits (N, classes) and the gradients of the cross-entropy (N, C, H, W), 0 where there is none."""
    inputs, oracle = images.clone().requires_grad_(), Oracle(network, "gradients", None)
    try:
        with torch.enable_grad():
            logits = oracle(inputs)
            (gradient,) = torch.autograd.grad(functional.cross_entropy(logits, labels, reduction="sum"), inputs)
        return logits.detach(), gradient
    except NoGradientError:
        with torch.no_grad():
            return network(images), torch.zeros_like(images)

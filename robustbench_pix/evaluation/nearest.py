"""The smallest known l2 distances of a few test images, by two gradient-based searches.

Decision attacks report the distance at which they ended, which is an upper bound of the smallest one. Two white-box
searches estimate the gap: DDN (Rony et al. 2019, arXiv 1811.09600, by foolbox) and FAB (Croce and Hein 2020, arXiv
1907.02044, our implementation), which start and move differently. The harness judges their queries. Where a model masks
its gradients they find nothing near, and a decision attack may find something nearer.
"""

from pathlib import Path

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn

from robustbench_pix.attacks.base import Attack, AttackContext, MinimalDistanceAttack
from robustbench_pix.attacks.building import build_attack
from robustbench_pix.attacks.common.norms import Ball
from robustbench_pix.attacks.gradient.apgd import ActiveImages
from robustbench_pix.attacks.gradient.fab import nearest
from robustbench_pix.attacks.querying.oracle import NoGradientError
from robustbench_pix.attacks.recorded import INFLATION_IMAGES
from robustbench_pix.catalogue.specs import AttackSpec, EvaluationSpec
from robustbench_pix.devices import arithmetic
from robustbench_pix.evaluation.batch import AttackSetting
from robustbench_pix.evaluation.evaluate import evaluate, image_order
from robustbench_pix.evaluation.judging import predict
from robustbench_pix.randomness import ImageKeys

DDN_STEPS, FAB_STEPS, FAB_TARGETS = 100, 20, 3
"""More of them lower the mean distance by less than one percent: 1000 steps of DDN and 40 steps of FAB towards all nine
classes together are 0.6% nearer on networks trained on digits, at twenty times the cost."""

ENTIRE = 1e4
"""An l2 radius within which every image lies."""


class AdaptiveBoundary(MinimalDistanceAttack):
    """FAB towards each of the classes with the largest logits, for as many steps of two queries."""

    def __init__(self, steps: int, targets: int) -> None:
        self.steps, self.targets = steps, targets

    def minimize(
        self, context: AttackContext, images: Tensor, labels: Tensor, starts: Tensor | None, keys: ImageKeys
    ) -> Tensor:
        """Return the nearest point found for each image, or the image."""
        oracle, rows = context.model, torch.arange(len(labels), device=labels.device)
        with torch.no_grad():
            ranked = oracle(images, rows).argsort(dim=1, descending=True, stable=True)
        found, best = images.clone(), torch.full_like(labels, torch.inf, dtype=images.dtype)
        for number in range(1, min(self.targets + 1, ranked.shape[1])):
            active = ActiveImages(oracle, Ball(images, ENTIRE, context.norm), labels, ranked[:, number], rows)
            points, distance = nearest(active, self.steps, near_enough=0.0)
            nearer = distance < best
            found[nearer], best[nearer] = points[nearer], distance[nearer]
        return found


def searches() -> dict[str, Attack]:
    """Return the searches by their names."""
    entry = AttackSpec(
        name="ddn",
        path=Path("nearest"),
        summary="",
        attack="foolbox:DDNAttack",
        access="gradients",
        strength="l2",
        parameters={"steps": DDN_STEPS},
    )
    return {"ddn": build_attack(entry), "fab": AdaptiveBoundary(FAB_STEPS, FAB_TARGETS)}


def smallest_distances(
    network: nn.Module, images: Tensor, labels: Tensor, *, task: str, classes: int, device: str
) -> pd.DataFrame:
    """Return one row for each of the first correctly classified images, at most 16 of them.

    The order is that in which attacks on fewer images choose theirs, so an attack on a few more covers them too.

    Args:
        network: the model, on the device, in eval mode.
        images: float32 in [0, 1], (N, C, H, W), on the device; labels int64 (N,).

    Returns:
        ``index``; ``l2``, the smallest distance found, infinite if none was found; ``farthest``, the l2 distance of the
        farthest image in [0, 1]; and the distance by each search: ``ddn`` and ``fab``.
    """
    with arithmetic("float32"):
        order = image_order(task, len(images))
        right = (predict(network, images, device=device) == labels).cpu().numpy()
        chosen = order[right[order]][:INFLATION_IMAGES]
    rows = torch.from_numpy(chosen).to(images.device)
    theirs, their_labels = images[rows], labels[rows]
    setting = AttackSetting(task, "strict", "gradients", "l2", (), EvaluationSpec(batch_size=INFLATION_IMAGES), classes)

    def distances(attack: Attack) -> np.ndarray:
        nothing = np.full(len(chosen), np.inf, dtype=np.float32)
        if not len(chosen):
            return nothing
        try:
            return evaluate(network, None, attack, theirs, their_labels, setting, device=device)["l2"].to_numpy()
        except NoGradientError:
            return nothing

    found = {name: distances(attack) for name, attack in searches().items()}
    smallest = np.minimum.reduce(list(found.values()))
    far = torch.maximum(theirs, 1 - theirs).flatten(1).norm(dim=1).cpu().numpy()
    table = pd.DataFrame({"index": chosen, "l2": smallest, "farthest": far, **found})
    return table.sort_values("index", ignore_index=True)

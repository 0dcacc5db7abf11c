"""How the attacks of ``strength.py`` are run: through the harness, with its budget, or as a library's manual says."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn

from benchmarks.attack_ways import Counting
from benchmarks.strength_victims import Subject
from robustbench_pix.attacks.base import Attack, MinimalDistanceAttack
from robustbench_pix.attacks.building import build_attack
from robustbench_pix.attacks.common.norms import distances, reach
from robustbench_pix.catalogue.specs import AttackSpec, EvaluationSpec
from robustbench_pix.evaluation.batch import AttackedModel as Attacked
from robustbench_pix.evaluation.batch import AttackSetting, Batch
from robustbench_pix.evaluation.judging import predict
from robustbench_pix.randomness import ImageKey, global_streams

TASK, CLASSES, CHUNK = "strength", 10, 64


class Found(NamedTuple):
    """L2 distances of the attacked images, infinite where none was found, whether each is robust, queries an image."""

    distances: Tensor
    robust: Tensor
    queries: float


Way = Callable[[Subject], Found]


def harness(reference: str, access: str, norm: str, budget: int | None, **parameters: Any) -> Way:
    """Return an attack of ours, of foolbox or of the toolbox as an entry of the catalogue runs it.

    A fixed strength is the subject's radius; what a search finds further away leaves the image robust. No more than the
    budget is answered.
    """

    def run(subject: Subject) -> Found:
        spec = AttackSpec(
            name=reference, path=Path(), summary="", attack=reference, access=access, strength=norm,
            parameters=parameters,
        )  # fmt: skip
        attack = build_attack(spec)
        evaluation = EvaluationSpec(budget=budget, start_directions=1_000)
        case = AttackSetting(TASK, "strict", access, norm, (subject.radii[norm],), evaluation, CLASSES)
        columns = _attacked(attack, subject, case)
        robust = torch.from_numpy(columns["correct"].to_numpy(bool, copy=True))
        l2 = torch.from_numpy(columns["l2"].to_numpy(np.float32, copy=True)).masked_fill(robust, torch.inf)
        if isinstance(attack, MinimalDistanceAttack):
            robust |= torch.from_numpy(columns[norm].to_numpy(np.float32, copy=True)) > reach(subject.radii[norm])
        return Found(l2, robust, float(columns["queries"].mean()))

    return run


def library(norm: str, make: Callable[[nn.Module, float], Callable[[Tensor, Tensor], Tensor]]) -> Way:
    """Return a library's attack in a ball of the subject's radius: ``make(model, radius)(images, labels)``."""

    def run(subject: Subject) -> Found:
        model, (images, labels) = Counting(subject.network).eval(), subject.targets
        with global_streams("attack", TASK):
            made = make(model, subject.radii[norm])(images.clone(), labels.clone()).detach()
        inside = distances(made - images, norm) <= reach(subject.radii[norm])
        robust = (predict(subject.network, made.clamp(0, 1), device="cpu") == labels) | ~inside
        l2 = (made - images).flatten(1).norm(dim=1).masked_fill(robust, torch.inf)
        return Found(l2, robust, model.asked / len(images))

    return run


def smallest_known(subject: Subject, *, steps: int) -> Tensor:
    """Return the smallest L2 distances (N,) that white-box attacks of foolbox find: DDN, FMN, C&W, and DDN targeted."""
    import foolbox

    images, labels = subject.targets
    model = foolbox.PyTorchModel(subject.network, bounds=(0, 1), device="cpu")
    best = torch.full(labels.shape, torch.inf)
    anything = foolbox.criteria.Misclassification(labels)
    fa = foolbox.attacks
    runs: list[tuple[Any, Any, Tensor]] = [
        (attack, anything, torch.ones_like(labels, dtype=torch.bool))
        for attack in (
            fa.DDNAttack(steps=steps),
            fa.L2FMNAttack(steps=steps),
            fa.L2FMNAttack(steps=steps, max_stepsize=0.3),
            fa.L2CarliniWagnerAttack(steps=steps, binary_search_steps=5),
        )
    ]
    for target in range(CLASSES):
        rows = labels != target
        aim = foolbox.criteria.TargetedMisclassification(torch.full_like(labels[rows], target))
        runs.append((fa.DDNAttack(steps=steps // 2), aim, rows))
    for attack, criterion, rows in runs:
        if not rows.any():
            continue
        with global_streams("attack", TASK):
            made = attack(model, images[rows], criterion, epsilons=None)[1]
        wrong = predict(subject.network, made, device="cpu") != labels[rows]
        reached = (made - images[rows]).flatten(1).norm(dim=1).masked_fill(~wrong, torch.inf)
        best[rows] = torch.minimum(best[rows], reached)
    return best


def _attacked(attack: Attack, subject: Subject, case: AttackSetting) -> pd.DataFrame:
    """Return one row for each attacked image; starting points come from all images of the subject."""
    decisions = predict(subject.network, subject.images, device="cpu")
    seen = Attacked(
        subject.network, None, subject.images, subject.labels, decisions, decisions, "cpu", source_cache=None
    )
    parts = []
    for numbers in _chunks(subject.attacked, 1 if attack.one_by_one else CHUNK):
        batch = Batch(seen, case, np.array(numbers), np.zeros(len(numbers), dtype=int))
        with global_streams("attack", *ImageKey(TASK, numbers[0], 0, 0).parts):
            run = batch.minimal(attack) if isinstance(attack, MinimalDistanceAttack) else batch.fixed(attack)
        parts.append(pd.DataFrame({name: run[name][-1].numpy() for name in ("correct", "l2", "linf", "queries")}))
    return pd.concat(parts, ignore_index=True)


def _chunks(count: int, size: int) -> Sequence[list[int]]:
    return [list(range(first, min(first + size, count))) for first in range(0, count, size)]

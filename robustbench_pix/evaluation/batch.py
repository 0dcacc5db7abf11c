"""One batch of test images under one attack: who is attacked, what came back, and the rows of the outcome."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from robustbench_pix.attacks.access import REPORTED_CHECKPOINTS, Ledger, Oracle
from robustbench_pix.attacks.base import (
    FixedStrengthAttack,
    ImageKey,
    MinimalDistanceAttack,
    Target,
    attacked_module,
)
from robustbench_pix.attacks.starts import find_starts
from robustbench_pix.catalogue.specs import EvaluationSpec
from robustbench_pix.evaluation.judging import Verdict, accept, judge

Block = dict[str, np.ndarray]

BEYOND_BOUNDARY = 1e-3
"""How much further away a perturbed image is tried that may lie on the decision boundary to the last bit."""


@dataclass(frozen=True)
class Case:
    """One attack on one task under one protocol."""

    task: str
    protocol: str
    access: str
    strength_kind: str
    strengths: tuple[float, ...]
    evaluation: EvaluationSpec
    classes: int

    @property
    def asks_model(self) -> bool:
        """Whether the attacker queries the attacked model."""
        return self.access not in ("none", "transfer")


@dataclass(frozen=True)
class Subject:
    """The attacked model, the source model of a transfer attack, and the test images with the model's clean decisions.

    Images are float32 in [0, 1], (N, C, H, W); labels, clean decisions and ``asked``, the decisions of the model that
    the attacker asks, int64 (N,); all on the device.
    """

    network: nn.Module
    source: nn.Module | None
    images: Tensor
    labels: Tensor
    clean: Tensor
    asked: Tensor
    device: str


class Batch:
    """One batch of test images, cut by test index before anything is left out of it."""

    def __init__(self, subject: Subject, case: Case, numbers: np.ndarray, repetition: int) -> None:
        self.subject, self.case, self.numbers, self.repetition = subject, case, numbers, repetition
        here = torch.from_numpy(numbers).to(subject.images.device)
        self.images, self.labels, self.clean = subject.images[here], subject.labels[here], subject.clean[here]
        self.keys = [ImageKey(case.task, int(number), repetition, case.evaluation.seed) for number in numbers]
        only_correct = case.asks_model and case.protocol == "strict"
        self.attacked = self.clean == self.labels if only_correct else torch.ones_like(self.labels, dtype=torch.bool)
        self.rows = self.attacked.nonzero().flatten()

    def fixed(self, attack: FixedStrengthAttack) -> Iterator[Block]:
        """Attack at every strength; under ``strict`` a correct image must have been correct without attack."""
        images, labels = self.images[self.rows], self.labels[self.rows]
        ledger = Ledger(images, labels)
        results: Iterator[Tensor] = iter(())
        if len(self.rows):
            keys = self._keys(self.rows)
            given = images.clone(), labels.clone()
            results = iter(attack.perturb(self._target(ledger), *given, self.case.strengths, keys))
        for strength in self.case.strengths:
            asked_before = ledger.queries.clone()
            verdict = self._nothing()
            if len(self.rows):
                verdict = self._judged(images, accept(next(results, None), images), strength)
            prediction = self._spread(verdict.prediction, self.clean)
            correct = prediction == self.labels
            if self.case.protocol == "strict":
                correct &= self.clean == self.labels
            yield self._block(
                strength,
                prediction=prediction,
                correct=correct,
                failed=self._spread(verdict.failed),
                l2=self._spread(verdict.l2),
                linf=self._spread(verdict.linf),
                queries=self._spread(ledger.queries - asked_before),
            )

    def minimal(self, attack: MinimalDistanceAttack) -> Iterator[Block]:
        """Attack once; a misclassified image is at distance 0, one without an adversarial at infinity."""
        images = self.images[self.rows]
        labels = (self.labels if self.case.protocol == "strict" else self.clean)[self.rows]
        ledger = Ledger(images, labels)
        verdict = self._nothing()
        if len(self.rows):
            verdict = self._nearest(ledger, self._minimize(attack, ledger, images, labels))
        found = _found(verdict, labels)
        failed = self._spread(~found)
        block = self._block(
            float("nan"),
            prediction=self._spread(torch.where(found, verdict.prediction, labels), self.clean),
            correct=failed & (self.clean == self.labels),
            failed=failed,
            l2=self._spread(verdict.l2.masked_fill(~found, torch.inf)),
            linf=self._spread(verdict.linf.masked_fill(~found, torch.inf)),
            queries=self._spread(ledger.queries),
        )
        for checkpoint in REPORTED_CHECKPOINTS:
            block[f"l2_at_{checkpoint}"] = _array(self._spread(ledger.best_at(checkpoint)), np.float32)
        checkpoint_queries, checkpoint_l2 = ledger.last_doubling()
        block["checkpoint_queries"] = _array(self._spread(checkpoint_queries), np.int32)
        block["checkpoint_l2"] = _array(self._spread(checkpoint_l2), np.float32)
        yield block

    def _nearest(self, ledger: Ledger, returned: Tensor) -> Verdict:
        """Judge the images that an attack returned and the nearest it asked about, and keep the nearer adversarial.

        Some engines return another image than the best they found. And a converged one ends on the boundary to the last
        bit, where rounding decides, which depends on the batch: so both are also judged a thousandth further away.
        """
        images, labels = ledger.images, ledger.labels
        verdict = self._judged(images, returned, None)
        broken = verdict.failed
        for candidate in (ledger.nearest, _beyond(images, returned), _beyond(images, ledger.nearest)):
            other = self._judged(images, candidate, None)
            nearer = other.linf < verdict.linf if self.case.strength_kind == "linf" else other.l2 < verdict.l2
            better = _found(other, labels) & (nearer | ~_found(verdict, labels)) & ~broken
            verdict = Verdict(*(torch.where(better, new, old) for new, old in zip(other, verdict, strict=True)))
        return verdict

    def _minimize(self, attack: MinimalDistanceAttack, ledger: Ledger, images: Tensor, labels: Tensor) -> Tensor:
        """Return the attack's images; an image without a starting point is returned as it was, which is no success."""
        target, keys = self._target(ledger), self._keys(self.rows)
        if not attack.needs_starts:
            return accept(attack.minimize(target, images.clone(), labels.clone(), None, keys), images)
        subject, directions = self.subject, self.case.evaluation.start_directions
        starts, found = find_starts(
            attacked_module(target), images, labels, keys, subject.images, subject.asked, directions=directions
        )
        adversarial = images.clone()
        kept = ledger.under_attack = found.nonzero().flatten()
        if len(kept):
            kept_keys = [keys[row] for row in kept.tolist()]
            returned = attack.minimize(target, images[kept], labels[kept], starts[kept], kept_keys)
            adversarial[kept] = accept(returned, images[kept])
        return adversarial

    def _target(self, ledger: Ledger) -> Target:
        case = self.case
        oracle = Oracle(self.subject.network, case.access, ledger) if case.asks_model else None
        source = self.subject.source
        return Target(
            oracle=oracle,
            source=None if source is None else Oracle(source, "gradients", ledger=None),
            classes=case.classes,
            norm=case.strength_kind if case.strength_kind in ("l2", "linf") else "l2",
            clamp="image" if case.protocol == "paper" else "unit",
            batch=self.keys[0],
        )

    def _judged(self, images: Tensor, perturbed: Tensor, radius: float | None) -> Verdict:
        subject = self.subject
        norm = self.case.strength_kind
        return judge(subject.network, images, perturbed, device=subject.device, norm=norm, radius=radius)

    def _nothing(self) -> Verdict:
        whole, real = self.rows.new_zeros(0), self.images.new_zeros(0)
        return Verdict(whole, whole.bool(), real, real)

    def _keys(self, rows: Tensor) -> list[ImageKey]:
        return [self.keys[row] for row in rows.tolist()]

    def _spread(self, values: Tensor, elsewhere: Tensor | None = None) -> Tensor:
        """Put values of the attacked images into their places in the batch; 0 elsewhere unless told."""
        spread = values.new_zeros(len(self.labels)) if elsewhere is None else elsewhere.clone()
        spread[self.rows] = values
        return spread

    def _block(self, strength: float, **columns: Tensor) -> Block:
        count = len(self.numbers)
        return {
            "index": self.numbers.astype(np.int32),
            "repetition": np.full(count, self.repetition, dtype=np.int16),
            "strength": np.full(count, strength, dtype=np.float64),
            "label": _array(self.labels, np.int16),
            "clean_prediction": _array(self.clean, np.int16),
            **{name: _array(values, COLUMN_TYPES[name]) for name, values in columns.items()},
        }


COLUMN_TYPES: dict[str, type[np.generic]] = {
    "prediction": np.int16,
    "correct": np.bool_,
    "failed": np.bool_,
    "l2": np.float32,
    "linf": np.float32,
    "queries": np.int32,
}


def _found(verdict: Verdict, labels: Tensor) -> Tensor:
    return ~verdict.failed & (verdict.prediction != labels)


def _beyond(images: Tensor, perturbed: Tensor) -> Tensor:
    return (images + (1 + BEYOND_BOUNDARY) * (perturbed - images)).clamp(0, 1)


def _array(values: Tensor, kind: type[np.generic]) -> np.ndarray:
    return values.cpu().numpy().astype(kind)

"""One batch of test images under one attack: who is attacked, what came back, and the rows of the outcome.

Everything stays on the device: whoever looks at a number waits for the device, so the table is made at the end.
"""

import math
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from robustbench_pix.attacks.access import BudgetSpentError, Oracle
from robustbench_pix.attacks.base import (
    FixedStrengthAttack,
    ImageKey,
    MinimalDistanceAttack,
    Target,
    attacked_module,
)
from robustbench_pix.attacks.checkpoints import CHECKPOINTS, DISTANCE_AT
from robustbench_pix.attacks.ledger import Ledger
from robustbench_pix.attacks.memory import Memory
from robustbench_pix.attacks.starts import find_starts
from robustbench_pix.catalogue.specs import EvaluationSpec
from robustbench_pix.evaluation.judging import Verdict, accept, judge, unmoved

Columns = dict[str, Tensor]
"""Name of a column -> its values for the rows of a batch, (strengths, images), on the device."""

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
    the attacker asks, int64 (N,); all on the device. ``asked`` is read only where starting points are wanted.
    ``source_memory`` keeps what is the same for every model attacked through this source, or is None.
    """

    network: nn.Module
    source: nn.Module | None
    images: Tensor
    labels: Tensor
    clean: Tensor
    asked: Tensor
    device: str
    source_memory: Memory | None


class Batch:
    """Test images with a repetition each, (N,): pairs that are attacked together.

    They were cut out of all pairs before anything is left out of them. ``pictured`` are places of the batch; the images
    that were judged there are kept in ``pictures``, for each strength float32 in [0, 1], (pictured, C, H, W).
    """

    def __init__(
        self,
        subject: Subject,
        case: Case,
        numbers: np.ndarray,
        repetitions: np.ndarray,
        pictured: Sequence[int] = (),
    ) -> None:
        self.subject, self.case = subject, case
        self.pictured, self.pictures = list(pictured), list[Tensor]()
        here = torch.from_numpy(numbers).to(subject.images.device)
        self.images, self.labels, self.clean = subject.images[here], subject.labels[here], subject.clean[here]
        pairs = zip(numbers.tolist(), repetitions.tolist(), strict=True)
        self.keys = [ImageKey(case.task, number, repetition, case.evaluation.seed) for number, repetition in pairs]
        self.first_key, self.rows = self.keys[0], torch.arange(len(here), device=here.device)
        if case.asks_model and case.protocol == "strict":
            self.rows = (self.clean == self.labels).nonzero().flatten()
            self.keys = [self.keys[row] for row in self.rows.tolist()]

    def fixed(self, attack: FixedStrengthAttack) -> Columns:
        """Attack at every strength; under ``strict`` a correct image must have been correct without attack."""
        ledger = self._ledger(self.labels)
        run = _Run(attack, self._target(ledger), ledger, self.case.strengths, self.keys)
        at_strengths = [self._at_strength(strength, run, ledger) for strength in self.case.strengths]
        return {name: torch.cat([columns[name] for columns in at_strengths]) for name in at_strengths[0]}

    def _at_strength(self, strength: float, run: "_Run", ledger: Ledger) -> Columns:
        verdict = self._nothing()
        if len(self.rows):
            ledger.begin(strength if self.case.strength_kind in ("l2", "linf") else math.inf)
            verdict = self._judged(ledger.images, run.next(), strength)
            if self.case.asks_model:
                verdict = self._or_found(verdict, ledger, strength)
        self._picture(verdict.images)
        prediction = self._spread(verdict.prediction, self.clean)
        correct = prediction == self.labels
        if self.case.protocol == "strict":
            correct &= self.clean == self.labels
        return self._columns(
            prediction=prediction,
            correct=correct,
            failed=self._spread(verdict.failed),
            l2=self._spread(verdict.l2),
            linf=self._spread(verdict.linf),
            queries=self._spread(ledger.queries),
            found_at=self._spread(ledger.found_at),
        )

    def _or_found(self, verdict: Verdict, ledger: Ledger, strength: float) -> Verdict:
        """Take the nearest adversarial that an attack asked about, where what it returned is none.

        So also where the budget ended it, whatever it returned in spite of that.
        """
        wanted = (ledger.found_at > 0) & (verdict.prediction == ledger.labels) & ~verdict.failed
        if not wanted.any():
            return verdict
        other = self._judged(ledger.images, _unless(wanted, ledger.images, ledger.nearest), strength)
        return _chosen(wanted & _found(other, ledger.labels), other, verdict)

    def minimal(self, attack: MinimalDistanceAttack) -> Columns:
        """Attack once; a misclassified image is at distance 0, one without an adversarial at infinity."""
        ledger = self._ledger(self.labels if self.case.protocol == "strict" else self.clean)
        labels, verdict = ledger.labels, self._nothing()
        if len(self.rows):
            verdict = self._nearest(ledger, self._minimize(attack, ledger))
        found = _found(verdict, labels)
        self._picture(verdict.images)
        failed = self._spread(~found)
        columns = self._columns(
            prediction=self._spread(torch.where(found, verdict.prediction, labels), self.clean),
            correct=failed & (self.clean == self.labels),
            failed=failed,
            l2=self._spread(verdict.l2.masked_fill(~found, torch.inf)),
            linf=self._spread(verdict.linf.masked_fill(~found, torch.inf)),
            queries=self._spread(ledger.queries),
        )
        for checkpoint, distances in zip(CHECKPOINTS, ledger.at, strict=True):
            columns[f"{DISTANCE_AT}{checkpoint}"] = self._spread(distances)[None]
        queries_at_half, distance_at_half = ledger.at_half()
        columns["queries_at_half"] = self._spread(queries_at_half)[None]
        columns["distance_at_half"] = self._spread(distance_at_half)[None]
        return columns

    def _ledger(self, labels: Tensor) -> Ledger:
        norm = "linf" if self.case.strength_kind == "linf" else "l2"
        return Ledger(self.images[self.rows], labels[self.rows], norm=norm, budget=self.case.evaluation.budget)

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
            verdict = _chosen(better, other, verdict)
        return verdict

    def _minimize(self, attack: MinimalDistanceAttack, ledger: Ledger) -> Tensor:
        """Return the attack's images; an image without a starting point is returned as it was, which is no success.

        So is one whose budget was spent: what was found until then is in the ledger.
        """
        target, keys, images, labels = self._target(ledger), self.keys, ledger.images, ledger.labels
        adversarial, kept, starts = images.clone(), ledger.under_attack, None
        if attack.needs_starts:
            subject, directions = self.subject, self.case.evaluation.start_directions
            module = attacked_module(target)
            found = find_starts(module, images, labels, keys, subject.images, subject.asked, directions=directions)
            kept = ledger.under_attack = found[1].nonzero().flatten()
            starts = found[0][kept]
        if len(kept):
            kept_keys = [keys[row] for row in kept.tolist()]
            with suppress(BudgetSpentError):
                returned = attack.minimize(target, images[kept], labels[kept], starts, kept_keys)
                adversarial[kept] = accept(returned, images[kept])
        return _unless(ledger.refused, adversarial, images)

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
            batch=self.first_key,
            source_memory=None if source is None else self.subject.source_memory,
        )

    def _judged(self, images: Tensor, perturbed: Tensor, radius: float | None) -> Verdict:
        if radius == 0 and torch.equal(perturbed, images):  # What the model makes of these images is known.
            return unmoved(self.clean[self.rows], images)
        subject = self.subject
        norm = self.case.strength_kind
        return judge(subject.network, images, perturbed, device=subject.device, norm=norm, radius=radius)

    def _nothing(self) -> Verdict:
        whole, real = self.rows.new_zeros(0), self.images.new_zeros(0)
        return Verdict(whole, whole.bool(), real, real, self.images[:0])

    def _picture(self, judged: Tensor) -> None:
        """Keep the pictured ones of the images that were judged; one that was not attacked is as it was."""
        if self.pictured:
            images = self.images.clone()
            images[self.rows] = judged
            self.pictures.append(images[self.pictured])

    def _spread(self, values: Tensor, elsewhere: Tensor | None = None) -> Tensor:
        """Put values of the attacked images into their places in the batch; 0 elsewhere unless told."""
        spread = values.new_zeros(len(self.labels)) if elsewhere is None else elsewhere.clone()
        spread[self.rows] = values
        return spread

    def _columns(self, **columns: Tensor) -> Columns:
        own = {"label": self.labels, "clean_prediction": self.clean, **columns}
        return {name: values[None] for name, values in own.items()}


class _Run:
    """An attack on its way through the strengths; one that was ended by the budget begins anew at the next strength."""

    def __init__(
        self,
        attack: FixedStrengthAttack,
        target: Target,
        ledger: Ledger,
        strengths: Sequence[float],
        keys: Sequence[ImageKey],
    ) -> None:
        self.attack, self.target, self.ledger, self.keys = attack, target, ledger, keys
        self.strengths = list(strengths)
        self.results: Iterator[Tensor] | None = None

    def next(self) -> Tensor:
        """Return the images perturbed at the next strength; an image whose budget was spent is returned as it was."""
        images, labels = self.ledger.images, self.ledger.labels
        if self.results is None:
            given = images.clone(), labels.clone(), tuple(self.strengths), self.keys
            self.results = iter(self.attack.perturb(self.target, *given))
        del self.strengths[0]
        try:
            return _unless(self.ledger.refused, accept(next(self.results, None), images), images)
        except BudgetSpentError:
            self.results = None
            return images


def _unless(excepted: Tensor, these: Tensor, others: Tensor) -> Tensor:
    return torch.where(excepted[:, None, None, None], others, these)


def _chosen(where: Tensor, these: Verdict, others: Verdict) -> Verdict:
    each = zip(these, others, strict=True)
    return Verdict(*(torch.where(where.view(-1, *[1] * (this.dim() - 1)), this, other) for this, other in each))


def _found(verdict: Verdict, labels: Tensor) -> Tensor:
    return ~verdict.failed & (verdict.prediction != labels)


def _beyond(images: Tensor, perturbed: Tensor) -> Tensor:
    return (images + (1 + BEYOND_BOUNDARY) * (perturbed - images)).clamp(0, 1)

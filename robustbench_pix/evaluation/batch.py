"""One batch of test images under one attack: the selection of images, their verdicts, and the columns of results.

Everything stays on the device, since reading a number waits for it; the table is made at the end.
"""

import math
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from robustbench_pix.attacks.base import AttackContext, FixedStrengthAttack, MinimalDistanceAttack, Pool, TensorCache
from robustbench_pix.attacks.decision.starting_points import find_starts
from robustbench_pix.attacks.querying.oracle import BudgetSpentError, Oracle
from robustbench_pix.attacks.querying.query_log import QueryLog
from robustbench_pix.attacks.recorded import CHECKPOINTS, DISTANCE_AT, NO_ANSWER
from robustbench_pix.catalogue.specs import EvaluationSpec
from robustbench_pix.evaluation.judging import Verdict, accept, judge, unmoved
from robustbench_pix.randomness import ImageKey, ImageKeys

Columns = dict[str, Tensor]
"""Column name -> values for a batch, (strengths, images), on the device."""

BEYOND_BOUNDARY = 1e-3
"""Relative distance by which a perturbed image is moved outward that may lie exactly on the decision boundary."""


@dataclass(frozen=True)
class AttackSetting:
    """An attack's threat model on a task: protocol, access, strengths and evaluation parameters."""

    task: str
    protocol: str
    access: str
    strength_kind: str
    strengths: tuple[float, ...]
    evaluation: EvaluationSpec
    classes: int

    @property
    def queries_model(self) -> bool:
        """Whether the attacker queries the attacked model."""
        return self.access not in ("none", "transfer")


@dataclass(frozen=True)
class AttackedModel:
    """The attacked model, the source model of a transfer attack, and the test images with the model's clean decisions.

    Images are float32 in [0, 1], (N, C, H, W); labels, clean decisions and ``queried``, the decisions of the model that
    the attacker queries, int64 (N,); all on the device. ``queried`` is read only by searches of minimal distance.
    ``source_cache`` keeps what is the same for every model attacked through this source, or is None.
    """

    network: nn.Module
    source: nn.Module | None
    images: Tensor
    labels: Tensor
    clean: Tensor
    queried: Tensor
    device: str
    source_cache: TensorCache | None


class Batch:
    """Test images with a repetition each, (N,): pairs that are attacked together.

    Batches are formed before images are left out. ``pictured`` are rows of the batch; their judged images are kept in
    ``pictures``, for each strength float32 in [0, 1], (pictured, C, H, W).
    """

    def __init__(
        self,
        model: AttackedModel,
        setting: AttackSetting,
        numbers: np.ndarray,
        repetitions: np.ndarray,
        pictured: Sequence[int] = (),
    ) -> None:
        self.model, self.setting = model, setting
        self.pictured, self.pictures = list(pictured), list[Tensor]()
        here = torch.from_numpy(numbers).to(model.images.device)
        self.images, self.labels, self.clean = model.images[here], model.labels[here], model.clean[here]
        pairs = zip(numbers.tolist(), repetitions.tolist(), strict=True)
        self.keys = [
            ImageKey(setting.task, number, repetition, setting.evaluation.seed) for number, repetition in pairs
        ]
        self.first_key, self.rows = self.keys[0], torch.arange(len(here), device=here.device)
        if setting.queries_model and setting.protocol == "strict":
            self.rows = (self.clean == self.labels).nonzero().flatten()
            self.keys = [self.keys[row] for row in self.rows.tolist()]

    def fixed(self, attack: FixedStrengthAttack) -> Columns:
        """Attack at every strength; under ``strict`` a correct image must be correct without attack too."""
        log = self._query_log(self.labels)
        run = _StrengthIterator(attack, self._context(log), log, self.setting.strengths, self.keys)
        at_strengths = [self._at_strength(strength, run, log) for strength in self.setting.strengths]
        return {name: torch.cat([columns[name] for columns in at_strengths]) for name in at_strengths[0]}

    def _at_strength(self, strength: float, run: "_StrengthIterator", log: QueryLog) -> Columns:
        verdict = self._nothing()
        if len(self.rows):
            log.begin(strength if self.setting.strength_kind in ("l2", "linf") else math.inf)
            verdict = self._judged(log.images, run.next(), strength)
            if self.setting.queries_model:
                verdict = self._or_found(verdict, log, strength)
        self._picture(verdict.images)
        prediction = self._spread(verdict.prediction, self.clean)
        correct = prediction == self.labels
        if self.setting.protocol == "strict":
            correct &= self.clean == self.labels
        return self._columns(
            prediction=prediction,
            correct=correct,
            failed=self._spread(verdict.failed),
            l2=self._spread(verdict.l2),
            linf=self._spread(verdict.linf),
            queries=self._spread(log.queries),
            found_at=self._spread(log.found_at),
        )

    def _or_found(self, verdict: Verdict, log: QueryLog, strength: float) -> Verdict:
        """Take the nearest adversarial that an attack queried where its result is not adversarial.

        This also applies where the budget ended the attack, whatever it returned.
        """
        wanted = (log.found_at > 0) & (verdict.prediction == log.labels) & ~verdict.failed
        if not wanted.any():
            return verdict
        other = self._judged(log.images, _unless(wanted, log.images, log.nearest), strength)
        return _chosen(wanted & _found(other, log.labels), other, verdict)

    def minimal(self, attack: MinimalDistanceAttack) -> Columns:
        """Attack once; a misclassified image has distance 0, one without an adversarial infinity."""
        if self.setting.protocol != "strict":  # The decision is to change, which needs a decision.
            self.rows = self.rows[self.clean[self.rows] != NO_ANSWER]
            self.keys = [key for key, clean in zip(self.keys, self.clean.tolist(), strict=True) if clean != NO_ANSWER]
        log = self._query_log(self.labels if self.setting.protocol == "strict" else self.clean)
        labels, verdict = log.labels, self._nothing()
        if len(self.rows):
            verdict = self._nearest(log, self._minimize(attack, log))
        found = _found(verdict, labels)
        self._picture(verdict.images)
        failed = self._spread(~found)
        columns = self._columns(
            prediction=self._spread(torch.where(found, verdict.prediction, labels), self.clean),
            correct=failed & (self.clean == self.labels),
            failed=failed,
            l2=self._spread(verdict.l2.masked_fill(~found, torch.inf)),
            linf=self._spread(verdict.linf.masked_fill(~found, torch.inf)),
            queries=self._spread(log.queries),
        )
        for checkpoint, distances in zip(CHECKPOINTS, log.at, strict=True):
            columns[f"{DISTANCE_AT}{checkpoint}"] = self._spread(distances)[None]
        queries_at_half, distance_at_half = log.at_half()
        columns["queries_at_half"] = self._spread(queries_at_half)[None]
        columns["distance_at_half"] = self._spread(distance_at_half)[None]
        return columns

    def _query_log(self, labels: Tensor) -> QueryLog:
        norm = "linf" if self.setting.strength_kind == "linf" else "l2"
        return QueryLog(self.images[self.rows], labels[self.rows], norm=norm, budget=self.setting.evaluation.budget)

    def _nearest(self, log: QueryLog, returned: Tensor) -> Verdict:
        """Judge the images that an attack returned and the nearest it queried, and keep the nearer adversarial.

        Some libraries return another image than the best they found. And a converged attack ends exactly on the
        boundary, where the decision depends on rounding and so on the batch: both are also judged 0.1% further away.
        """
        images, labels = log.images, log.labels
        verdict = self._judged(images, returned, None)
        broken = verdict.failed
        for candidate in (log.nearest, _beyond(images, returned), _beyond(images, log.nearest)):
            other = self._judged(images, candidate, None)
            nearer = other.linf < verdict.linf if self.setting.strength_kind == "linf" else other.l2 < verdict.l2
            better = _found(other, labels) & (nearer | ~_found(verdict, labels)) & ~broken
            verdict = _chosen(better, other, verdict)
        return verdict

    def _minimize(self, attack: MinimalDistanceAttack, log: QueryLog) -> Tensor:
        """Return the attack's images; an image without a starting point is returned unchanged, which is not a success.

        So is one whose budget was spent: the query log has its nearest adversarial.
        """
        context, keys, images, labels = self._context(log), self.keys, log.images, log.labels
        adversarial, kept, starts = images.clone(), log.under_attack, None
        if attack.needs_starts:
            model, directions = self.model, self.setting.evaluation.start_directions
            module = context.model
            found = find_starts(module, images, labels, keys, model.images, model.queried, directions=directions)
            kept = log.under_attack = found[1].nonzero().flatten()
            starts = found[0][kept]
        if len(kept):
            kept_keys = [keys[row] for row in kept.tolist()]
            with suppress(BudgetSpentError):
                returned = attack.minimize(context, images[kept], labels[kept], starts, kept_keys)
                adversarial[kept] = accept(returned, images[kept])
        return _unless(log.refused, adversarial, images)

    def _context(self, log: QueryLog) -> AttackContext:
        setting = self.setting
        oracle = Oracle(self.model.network, setting.access, log) if setting.queries_model else None
        source = self.model.source
        return AttackContext(
            oracle=oracle,
            source=None if source is None else Oracle(source, "gradients", log=None),
            classes=setting.classes,
            norm=setting.strength_kind if setting.strength_kind in ("l2", "linf") else "l2",
            clamp="image" if setting.protocol == "paper" else "unit",
            batch=self.first_key,
            source_cache=None if source is None else self.model.source_cache,
            pool=Pool(self.model.images, self.model.queried),
        )

    def _judged(self, images: Tensor, perturbed: Tensor, radius: float | None) -> Verdict:
        if radius == 0 and torch.equal(perturbed, images):  # The predictions for these images are known.
            return unmoved(self.clean[self.rows], images)
        model = self.model
        norm = self.setting.strength_kind
        return judge(model.network, images, perturbed, device=model.device, norm=norm, radius=radius)

    def _nothing(self) -> Verdict:
        whole, real = self.rows.new_zeros(0), self.images.new_zeros(0)
        return Verdict(whole, whole.bool(), real, real, self.images[:0])

    def _picture(self, judged: Tensor) -> None:
        """Keep the pictured ones of the judged images; an image that was not attacked is unchanged."""
        if self.pictured:
            images = self.images.clone()
            images[self.rows] = judged
            self.pictures.append(images[self.pictured])

    def _spread(self, values: Tensor, elsewhere: Tensor | None = None) -> Tensor:
        """Put values of the attacked images into their rows of the batch, and ``elsewhere`` or 0 into the others."""
        spread = values.new_zeros(len(self.labels)) if elsewhere is None else elsewhere.clone()
        spread[self.rows] = values
        return spread

    def _columns(self, **columns: Tensor) -> Columns:
        own = {"label": self.labels, "clean_prediction": self.clean, **columns}
        return {name: values[None] for name, values in own.items()}


class _StrengthIterator:
    """An attack iterated over the strengths; one ended by the budget starts again at the next strength."""

    def __init__(
        self,
        attack: FixedStrengthAttack,
        context: AttackContext,
        log: QueryLog,
        strengths: Sequence[float],
        keys: ImageKeys,
    ) -> None:
        self.attack, self.context, self.log, self.keys = attack, context, log, keys
        self.strengths = list(strengths)
        self.results: Iterator[Tensor] | None = None

    def next(self) -> Tensor:
        """Return the perturbed images of the next strength; an image whose budget was spent is returned unchanged."""
        images, labels = self.log.images, self.log.labels
        if self.results is None:
            given = images.clone(), labels.clone(), tuple(self.strengths), self.keys
            self.results = iter(self.attack.perturb(self.context, *given))
        del self.strengths[0]
        try:
            return _unless(self.log.refused, accept(next(self.results, None), images), images)
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

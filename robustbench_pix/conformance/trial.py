"""One attack tried on one model: what it returned, unclipped, and what evaluation made of it."""

import random
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import chdir
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from robustbench_pix.attacks.base import Attack, FixedStrengthAttack, ImageKey, MinimalDistanceAttack, Target
from robustbench_pix.catalogue.specs import AttackSpec
from robustbench_pix.conformance.models import CLASSES, SIDE, Bowls, Watched
from robustbench_pix.evaluation.batch import Batch, Case, Columns, Subject
from robustbench_pix.evaluation.judging import predict
from robustbench_pix.randomness import global_streams

IMAGES = 3
NO_STRENGTH = -1.0
"""In the place of the strength of an attack of minimal distance."""

Build = Callable[[AttackSpec], Attack]


@dataclass
class Outcome:
    """What became of the images of one trial.

    Attributes:
        raw: (image, strength) -> what the attack returned, (C, H, W).
        columns: those of evaluation, (strengths, images), in the order of ``numbers``.
        wrote: files that appeared in the current folder.
        drew: whether a global random state was changed.
        changed_inputs: whether the tensors that the attack was given were changed.
        network: the attacked model afterwards; ``source`` that of a transfer attack.
    """

    numbers: list[int]
    network: Watched
    source: Watched | None
    raw: dict[tuple[int, float], Tensor] = field(default_factory=dict)
    columns: Columns = field(default_factory=dict)
    wrote: list[str] = field(default_factory=list)
    drew: bool = False
    changed_inputs: bool = False

    def column(self, name: str, image: int) -> list[Any]:
        """Return the values of an image at the strengths, in their order."""
        values: list[Any] = self.columns[name][:, self.numbers.index(image)].tolist()
        return values


@dataclass(frozen=True)
class Trial:
    """An entry, how to build its attack, and what it is tried on."""

    spec: AttackSpec
    build: Build
    channels: int = 1

    @property
    def strengths(self) -> tuple[float, ...]:
        """No perturbation and the strongest of the entry on digits; for a search of minimal distance nothing."""
        stated = self.spec.strengths_for("digits") or next(iter(self.spec.strengths.values()), ())
        return (0.0, stated[-1]) if stated else (0.0, 0.1)

    @property
    def asks_model(self) -> bool:
        """Whether the attacker queries the attacked model."""
        return self.spec.access not in ("none", "transfer")

    def images(self) -> Tensor:
        """Return the images on which the attack is tried, float32 (N, C, H, W)."""
        generator = torch.Generator().manual_seed(7)
        return 0.2 + 0.6 * torch.rand(IMAGES, self.channels, SIDE, SIDE, generator=generator)

    def bowls(self) -> Bowls:
        """Return the model of most trials."""
        return Bowls(self.channels, seed=0)

    def run(
        self,
        numbers: Sequence[int] = range(IMAGES),
        *,
        network: Watched | None = None,
        source: Watched | None = None,
        labels: Tensor | None = None,
        budget: int | None = None,
    ) -> Outcome:
        """Attack images by their numbers, as evaluation does, in a folder of its own; labels are the model's decisions.

        Raises:
            Exception: whatever the attack raises.
        """
        spec, images = self.spec, self.images()
        network = (network or self.bowls()).eval().requires_grad_(False)
        if spec.access == "transfer":
            source = (source or Bowls(self.channels, seed=0)).eval().requires_grad_(False)
        clean = predict(network, images, device="cpu")
        asked = clean if source is None else predict(source, images, device="cpu")
        labels = clean if labels is None else labels
        budget = spec.evaluation.budget if budget is None else budget
        evaluation = spec.evaluation.model_copy(update={"start_directions": 10, "budget": budget})
        case = Case("digits", "strict", spec.access, spec.strength, self.strengths, evaluation, CLASSES)
        subject = Subject(network, source, images, labels, clean, asked, "cpu", None)
        outcome = Outcome(list(numbers), network, source)
        attack = self.build(spec)
        groups = [[number] for number in numbers] if attack.one_by_one else [list(numbers)]
        parts = []
        with tempfile.TemporaryDirectory() as folder, chdir(folder):
            for group in groups:
                batch = Batch(subject, case, np.array(group), np.zeros(len(group), dtype=int))
                with global_streams("attack", *batch.first_key.parts):
                    before = _states()
                    if isinstance(attack, FixedStrengthAttack):
                        parts.append(batch.fixed(_FixedRecorder(attack, outcome)))
                    else:
                        parts.append(batch.minimal(_MinimalRecorder(attack, outcome)))
                    outcome.drew |= _states() != before
            outcome.wrote = sorted(path.name for path in Path(folder).iterdir())
        outcome.columns = {name: torch.cat([part[name] for part in parts], dim=1) for name in parts[0]}
        return outcome


class _FixedRecorder(FixedStrengthAttack):
    def __init__(self, attack: FixedStrengthAttack, outcome: Outcome) -> None:
        self.attack, self.outcome = attack, outcome

    def perturb(
        self, target: Target, images: Tensor, labels: Tensor, strengths: Sequence[float], keys: Sequence[ImageKey]
    ) -> Iterator[Tensor]:
        given = images.clone(), labels.clone()
        for strength, made in zip(
            strengths, self.attack.perturb(target, images, labels, strengths, keys), strict=False
        ):
            _keep(self.outcome, keys, strength, made)
            self.outcome.changed_inputs |= _differ((images, labels), given)
            yield made


class _MinimalRecorder(MinimalDistanceAttack):
    def __init__(self, attack: MinimalDistanceAttack, outcome: Outcome) -> None:
        self.attack, self.outcome, self.needs_starts = attack, outcome, attack.needs_starts

    def minimize(
        self, target: Target, images: Tensor, labels: Tensor, starts: Tensor | None, keys: Sequence[ImageKey]
    ) -> Tensor:
        given = images.clone(), labels.clone()
        made = self.attack.minimize(target, images, labels, starts, keys)
        _keep(self.outcome, keys, NO_STRENGTH, made)
        self.outcome.changed_inputs |= _differ((images, labels), given)
        return made


def _keep(outcome: Outcome, keys: Sequence[ImageKey], strength: float, made: Tensor) -> None:
    for key, image in zip(keys, made, strict=True):
        outcome.raw[key.index, strength] = image.detach().clone()


def _differ(these: tuple[Tensor, ...], others: tuple[Tensor, ...]) -> bool:
    return not all(torch.equal(this, other) for this, other in zip(these, others, strict=True))


def _states() -> tuple[Any, ...]:
    of_numpy: Any = np.random.get_state()
    return random.getstate(), of_numpy[1].tobytes(), of_numpy[2:], torch.get_rng_state().numpy().tobytes()

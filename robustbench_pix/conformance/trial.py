"""One attack on one probe model: the probe models, unclipped results, and their evaluation."""

import random
import tempfile
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from contextlib import chdir
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from robustbench_pix.attacks.base import Attack, AttackContext, FixedStrengthAttack, MinimalDistanceAttack
from robustbench_pix.catalogue.specs import AttackSpec
from robustbench_pix.errors import JobFailedError
from robustbench_pix.evaluation.batch import AttackedModel, AttackSetting, Batch, Columns
from robustbench_pix.evaluation.judging import predict
from robustbench_pix.randomness import ImageKeys, global_streams

SIDE, CLASSES = 8, 4


class ProbeModel(nn.Module, ABC):
    """Base: logits through a BatchNorm that is the identity in eval mode; with too many queries it ends the attack."""

    limit = 20_000

    def __init__(self) -> None:
        super().__init__()
        self.normalization = nn.BatchNorm1d(CLASSES)
        self.calls = 0

    @abstractmethod
    def logits(self, images: Tensor) -> Tensor:
        """Return the logits (N, classes)."""

    def forward(self, images: Tensor) -> Tensor:
        """Return the logits (N, classes).

        Raises:
            JobFailedError: the model was queried more than ``limit`` times.
        """
        self.calls += 1
        if self.calls > self.limit:
            raise JobFailedError(f"it queried the model more than {self.limit} times and did not end")
        normalized: Tensor = self.normalization(self.logits(images))
        return normalized


class QuadraticClassifier(ProbeModel):
    """Quadratic logits with a center and a steepness for each class, so that boundaries are curved."""

    def __init__(self, channels: int, seed: int) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(seed)
        self.centers = nn.Parameter(0.3 + 0.4 * torch.rand(CLASSES, channels * SIDE * SIDE, generator=generator))
        self.steepness = nn.Parameter(0.9 + 0.2 * torch.rand(CLASSES, generator=generator))

    def logits(self, images: Tensor) -> Tensor:
        """Return minus the squared distances from the centers."""
        return -self.steepness * (images.flatten(1)[:, None] - self.centers).square().sum(dim=2)


class ConstantClassifier(ProbeModel):
    """Predicts class 0 for every image, with a zero gradient."""

    def logits(self, images: Tensor) -> Tensor:
        """Return logits that do not depend on the images."""
        first = torch.eye(CLASSES, device=images.device)[0]
        return first + 0 * images.flatten(1).sum(dim=1, keepdim=True)


class IslandClassifier(ProbeModel):
    """Class 1 near one image, class 0 elsewhere: noise fools it on that image, and on no other."""

    def __init__(self, center: Tensor, radius: float = 0.3) -> None:
        super().__init__()
        self.center, self.radius = nn.Parameter(center.flatten()), radius

    def logits(self, images: Tensor) -> Tensor:
        """Return 0 for class 0, and for class 1 the squared radius minus the squared distance."""
        near = self.radius**2 - (images.flatten(1) - self.center).square().sum(dim=1)
        nothing = torch.zeros_like(near)
        return torch.stack([nothing, near, nothing - 100, nothing - 100], dim=1)


IMAGES = 3
NO_STRENGTH = -1.0
"""Stands for the strength of an attack of minimal distance."""

Build = Callable[[AttackSpec], Attack]


@dataclass
class Outcome:
    """The outcome of one trial.

    Attributes:
        raw: (image, strength) -> the attack's result, (C, H, W).
        columns: evaluation's columns, (strengths, images), in the order of ``numbers``.
        wrote: files that appeared in the current folder.
        drew: whether a global random state was changed.
        changed_inputs: whether the attack changed its input tensors.
        network: the attacked model afterwards; ``source`` that of a transfer attack.
    """

    numbers: list[int]
    network: ProbeModel
    source: ProbeModel | None
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
    """A catalogue entry, a builder of its attack, and the channels of the images."""

    spec: AttackSpec
    build: Build
    channels: int = 1

    @property
    def strengths(self) -> tuple[float, ...]:
        """0 and the entry's largest strength on digits; a default for attacks of minimal distance."""
        stated = self.spec.strengths_for("digits") or next((one.values for one in self.spec.strengths.values()), ())
        return (0.0, stated[-1]) if stated else (0.0, 0.1)

    @property
    def queries_model(self) -> bool:
        """Whether the attacker queries the attacked model."""
        return self.spec.access not in ("none", "transfer")

    def images(self) -> Tensor:
        """Return the images on which the attack is tried, float32 (N, C, H, W)."""
        generator = torch.Generator().manual_seed(7)
        return 0.2 + 0.6 * torch.rand(IMAGES, self.channels, SIDE, SIDE, generator=generator)

    def run(
        self,
        numbers: Sequence[int] = range(IMAGES),
        *,
        network: ProbeModel | None = None,
        source: ProbeModel | None = None,
        labels: Tensor | None = None,
        budget: int | None = None,
    ) -> Outcome:
        """Attack images by their numbers, as evaluation does, in a folder of its own; labels are the model's decisions.

        Raises:
            Exception: whatever the attack raises.
        """
        spec, images = self.spec, self.images()
        network = (network or QuadraticClassifier(self.channels, seed=0)).eval().requires_grad_(False)
        if spec.access == "transfer":
            source = (source or QuadraticClassifier(self.channels, seed=0)).eval().requires_grad_(False)
        clean = predict(network, images, device="cpu")
        queried = clean if source is None else predict(source, images, device="cpu")
        labels = clean if labels is None else labels
        budget = spec.evaluation.budget if budget is None else budget
        evaluation = spec.evaluation.model_copy(update={"start_directions": 10, "budget": budget})
        setting = AttackSetting("digits", "strict", spec.access, spec.strength, self.strengths, evaluation, CLASSES)
        model = AttackedModel(network, source, images, labels, clean, queried, "cpu", None)
        outcome = Outcome(list(numbers), network, source)
        attack = self.build(spec)
        groups = [[number] for number in numbers] if attack.one_by_one else [list(numbers)]
        parts = []
        with tempfile.TemporaryDirectory() as folder, chdir(folder):
            for group in groups:
                batch = Batch(model, setting, np.array(group), np.zeros(len(group), dtype=int))
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
        self, context: AttackContext, images: Tensor, labels: Tensor, strengths: Sequence[float], keys: ImageKeys
    ) -> Iterator[Tensor]:
        given = images.clone(), labels.clone()
        for strength, made in zip(
            strengths, self.attack.perturb(context, images, labels, strengths, keys), strict=False
        ):
            _keep(self.outcome, keys, strength, made)
            self.outcome.changed_inputs |= _differ((images, labels), given)
            yield made


class _MinimalRecorder(MinimalDistanceAttack):
    def __init__(self, attack: MinimalDistanceAttack, outcome: Outcome) -> None:
        self.attack, self.outcome, self.needs_starts = attack, outcome, attack.needs_starts

    def minimize(
        self, context: AttackContext, images: Tensor, labels: Tensor, starts: Tensor | None, keys: ImageKeys
    ) -> Tensor:
        given = images.clone(), labels.clone()
        made = self.attack.minimize(context, images, labels, starts, keys)
        _keep(self.outcome, keys, NO_STRENGTH, made)
        self.outcome.changed_inputs |= _differ((images, labels), given)
        return made


def _keep(outcome: Outcome, keys: ImageKeys, strength: float, made: Tensor) -> None:
    for key, image in zip(keys, made, strict=True):
        outcome.raw[key.index, strength] = image.detach().clone()


def _differ(these: tuple[Tensor, ...], others: tuple[Tensor, ...]) -> bool:
    return not all(torch.equal(this, other) for this, other in zip(these, others, strict=True))


def _states() -> tuple[Any, ...]:
    of_numpy: Any = np.random.get_state()
    return random.getstate(), of_numpy[1].tobytes(), of_numpy[2:], torch.get_rng_state().numpy().tobytes()

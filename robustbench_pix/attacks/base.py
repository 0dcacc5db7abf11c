"""The contract of an attack. What it returns is never trusted: evaluation clamps, checks and judges it."""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Literal

import numpy as np
from torch import Tensor

from robustbench_pix.attacks.access import Oracle
from robustbench_pix.attacks.engine_classes import Needs
from robustbench_pix.attacks.memory import Memory
from robustbench_pix.errors import JobFailedError
from robustbench_pix.randomness import Key, stream

Clamp = Literal["unit", "image"]


@dataclass(frozen=True)
class ImageKey:
    """Names the random streams of one image under one attack; the recipe is not part of it."""

    task: str
    index: int
    repetition: int
    seed: int

    def stream(self, purpose: str) -> np.random.Generator:
        """Return the random generator of a purpose, such as the kind of noise."""
        return stream(purpose, *self.parts)

    @property
    def parts(self) -> Key:
        """Seed, task, index and repetition, as a key of streams."""
        return self.seed, self.task, self.index, self.repetition


@dataclass(frozen=True)
class Target:
    """What the attacker may use.

    Attributes:
        oracle: the attacked model as far as ``access`` shows it; None for access ``none`` and ``transfer``.
        source: the source model with its gradients, or the mean of several, for access ``transfer``; else None. Its
            queries are not counted.
        classes: how many there are.
        norm: ``l2`` or ``linf``, the distance to make small.
        clamp: ``unit``: images stay in [0, 1]; ``image``: noise stays in each image's own range (protocol paper).
        batch: the key of the first image of the batch, attacked or not: names the stream of an engine that draws for a
            whole batch, so that it draws the same for every recipe.
        source_memory: keeps what depends on the source model and the test images alone, from one attacked model to the
            next; None where nothing is kept, and without a source.
    """

    oracle: Oracle | None
    source: Oracle | None
    classes: int
    norm: str
    clamp: Clamp
    batch: ImageKey
    source_memory: Memory | None = None


def attacked_module(target: Target) -> Oracle:
    """Return the model whose outputs the attack may use: the source model, or the attacked one as its access shows it.

    Raises:
        JobFailedError: access ``none`` shows neither.
    """
    module = target.oracle if target.source is None else target.source
    if module is None:
        raise JobFailedError(
            'this attack needs a model; set access to "transfer", "decisions", "scores" or "gradients"'
        )
    return module


class FixedStrengthAttack(ABC):
    """Perturbs images at given strengths."""

    batch_dependent: bool = False
    """Whether an image's result depends on the images attacked with it."""
    one_by_one: bool = False
    """Whether batches of one image are wanted."""
    needs: ClassVar[Needs | None] = None
    """What an entry must let it see, and what its strength may mean; anything where None."""
    file: Path | None = None
    """Where the perturbed images are read, instead of being made; what ``find_file`` gave when the job was planned."""

    def find_file(self, dataset: str, test_labels: Tensor, data_root: Path) -> Path | None:
        """Return the file with perturbed test images that the user has for a data set, or None.

        Raises:
            UserError: it is there, but is not what it should be.
        """
        return None

    @abstractmethod
    def perturb(
        self, target: Target, images: Tensor, labels: Tensor, strengths: Sequence[float], keys: Sequence[ImageKey]
    ) -> Iterator[Tensor]:
        """Yield for each strength the perturbed images, float32 (N, C, H, W); images are float32 in [0, 1]."""


class MinimalDistanceAttack(ABC):
    """Searches for the smallest perturbation that changes the decision."""

    batch_dependent: bool = False
    one_by_one: bool = False
    needs: ClassVar[Needs | None] = None
    needs_starts: bool = False
    """Whether ``starts`` are wanted: images that the model gets wrong, found before the attack."""

    @abstractmethod
    def minimize(
        self, target: Target, images: Tensor, labels: Tensor, starts: Tensor | None, keys: Sequence[ImageKey]
    ) -> Tensor:
        """Return one adversarial image for each image, float32 (N, C, H, W); whatever is not one counts as failed.

        Where the oracle was asked about a nearer one, that is taken.
        """


Attack = FixedStrengthAttack | MinimalDistanceAttack

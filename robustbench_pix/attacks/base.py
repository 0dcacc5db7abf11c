"""The contract of an attack. Its result is never trusted: evaluation clamps, checks and judges it."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Hashable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Literal, NamedTuple

from torch import Tensor

from robustbench_pix.attacks.common.norms import Ball
from robustbench_pix.attacks.querying.oracle import Oracle
from robustbench_pix.attacks.requirements import Needs
from robustbench_pix.errors import JobFailedError
from robustbench_pix.randomness import ImageKey, ImageKeys


class TensorCache:
    """Least recently used cache of tensors, of at most ``limit_bytes`` together."""

    def __init__(self, limit_bytes: int) -> None:
        self.limit_bytes = limit_bytes
        self.kept: dict[Hashable, Tensor] = {}

    def get_or_compute(self, key: Hashable, compute: Callable[[], Tensor]) -> Tensor:
        """Return the tensor of a key, computed where it is not cached; callers must not change it."""
        tensor = self.kept.pop(key, None)
        if tensor is None:
            tensor = compute()
        self.kept[key] = tensor  # The most recently used comes last.
        while sum(kept.nbytes for kept in self.kept.values()) > self.limit_bytes:
            del self.kept[next(iter(self.kept))]
        return tensor


Clamp = Literal["unit", "image"]


class Pool(NamedTuple):
    """Images, float32 in [0, 1], (M, C, H, W), and the classes that the queried model predicts for them, int64 (M,)."""

    images: Tensor
    decisions: Tensor


@dataclass(frozen=True)
class AttackContext:
    """The threat model of an attack on one batch: models, classes, norm, and the data that the attacker may use.

    Attributes:
        oracle: the attacked model behind its access; None for access ``none`` and ``transfer``.
        source: the source model (or mean of several) with its gradients for access ``transfer``, else None. Its queries
            are not counted.
        classes: number of classes.
        norm: ``l2`` or ``linf``, the distance to minimize.
        clamp: ``unit``: images stay in [0, 1]; ``image``: noise stays in each image's own range (protocol paper).
        batch: the key of the batch's first image, attacked or not: names the stream of a library that draws for a whole
            batch, so that it draws the same for every recipe.
        source_cache: keeps results that depend on the source model and the test images alone, from one attacked model
            to the next; None where nothing is kept, and without a source.
        pool: the test images with their decisions known to the harness; None where none are provided.
    """

    oracle: Oracle | None
    source: Oracle | None
    classes: int
    norm: str
    clamp: Clamp
    batch: ImageKey
    source_cache: TensorCache | None = None
    pool: Pool | None = None

    @property
    def model(self) -> Oracle:
        """The model whose outputs the attack may use: the source model, or the attacked one behind its access.

        Raises:
            JobFailedError: access ``none`` shows neither.
        """
        module = self.oracle if self.source is None else self.source
        if module is None:
            raise JobFailedError(
                'this attack needs a model; set access to "transfer", "decisions", "scores" or "gradients"'
            )
        return module

    def cached(
        self, purpose: Hashable, images: Tensor, labels: Tensor, keys: ImageKeys, compute: Callable[[], Tensor]
    ) -> Tensor:
        """Return a result of the source model for these images, computed now or kept from the last attacked model."""
        if self.source_cache is None:
            return compute()
        key = (purpose, self.norm, tuple(keys), tuple(labels.tolist()), images.shape, images.device)
        return self.source_cache.get_or_compute(key, compute)


class FixedStrengthAttack(ABC):
    """Perturbs images at given strengths."""

    batch_dependent: bool = False
    """Whether an image's result depends on the images attacked with it."""
    one_by_one: bool = False
    """Whether batches of one image are wanted."""
    needs: ClassVar[Needs | None] = None
    """The access and the kinds of strength that it needs; anything where None."""
    file: Path | None = None
    """A file with the perturbed images, read instead of computing them; set to ``find_file``'s result at planning."""

    def find_file(self, dataset: str, test_labels: Tensor, data_root: Path) -> Path | None:
        """Return the user's file of perturbed test images for a data set, or None.

        Raises:
            UserError: the file exists, but does not hold the expected data.
        """
        return None

    @abstractmethod
    def perturb(
        self, context: AttackContext, images: Tensor, labels: Tensor, strengths: Sequence[float], keys: ImageKeys
    ) -> Iterator[Tensor]:
        """Yield for each strength the perturbed images, float32 (N, C, H, W); images are float32 in [0, 1]."""


class SearchAttack(FixedStrengthAttack):
    """Searches the ball of each strength on its own, with the same random numbers."""

    @abstractmethod
    def search(self, context: AttackContext, ball: Ball, labels: Tensor, keys: ImageKeys) -> Tensor:
        """Return a point of each image's ball, float32 (N, C, H, W); the radius is the strength, which is above 0."""

    def perturb(
        self, context: AttackContext, images: Tensor, labels: Tensor, strengths: Sequence[float], keys: ImageKeys
    ) -> Iterator[Tensor]:
        """Yield the result of the search at each strength; at strength 0 the images themselves, without a query."""
        for strength in strengths:
            yield images if strength == 0 else self.search(context, Ball(images, strength, context.norm), labels, keys)


class MinimalDistanceAttack(ABC):
    """Searches for the smallest perturbation that changes the decision."""

    batch_dependent: bool = False
    one_by_one: bool = False
    needs: ClassVar[Needs | None] = None
    needs_starts: bool = False
    """Whether ``starts`` are wanted: misclassified images, found before the attack."""

    @abstractmethod
    def minimize(
        self, context: AttackContext, images: Tensor, labels: Tensor, starts: Tensor | None, keys: ImageKeys
    ) -> Tensor:
        """Return one adversarial image for each image, float32 (N, C, H, W); a correctly classified one is a failure.

        If the oracle was queried with a nearer adversarial, evaluation takes that one.
        """


Attack = FixedStrengthAttack | MinimalDistanceAttack

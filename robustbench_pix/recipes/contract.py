"""The contract of a recipe: what it may change in training, and what it declares that it needs.

A training step passes through the slots of a recipe in this order; each does nothing unless a recipe defines it:

1. ``network``, once before training: wrap or replace the network.
2. ``begin``, before each epoch: on the host, may wait for the device.
3. ``batch``: change the images and targets of the task.
4. ``loss``: the loss of the task.
5. ``penalty``: what is added to the loss, times ``alpha``.

The declared needs (``pairs``, ``singles``, ``task_features``, ``double_backward``) are all that the engine knows of a
recipe. From them it plans the forward passes, fuses them into one and captures the step on a GPU.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from inspect import getattr_static
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from robustbench_pix.data.preparation import RegularizationData
from robustbench_pix.data.recording import Recording
from robustbench_pix.errors import JobFailedError
from robustbench_pix.identity import digest
from robustbench_pix.recipes.tools import Tools

NEEDS = {
    "first": "pairs",
    "second": "pairs",
    "first_images": "pairs",
    "second_images": "pairs",
    "ranks": "pairs",
    "single": "singles",
    "single_images": "singles",
    "numbers": "singles",
    "features": "task_features",
}
"""Attribute of a step -> the need under which it is there."""


SLOTS = ("network", "begin", "batch", "loss", "penalty")
DECLARED = ("pairs", "singles", "task_features", "double_backward")


@dataclass(frozen=True)
class RecipeContext:
    """The inputs of a recipe's constructor.

    Attributes:
        images: the regularization data, uint8, (N, C, H, W), on the CPU; N = 0 where neither pairs nor singles are
            declared.
        feature_shapes: (C, H, W) of each tapped layer for one image.
        seed: seed of the model; draw from ``robustbench_pix.randomness.stream("my-purpose", seed)`` only.
        folder: the folder of the recipe's file, for files that it names.
        task: name of the task.
        classes: number of classes of the task.
        steps_per_epoch, epochs: of the training.
        labels: of the regularization data, int64 (N,), in the order of the images; None where they have none.
        recording: the neural recording that the regularization data carry; None where they carry none.
        untrained: returns an untrained network of the task's kind, on the CPU, whose weights depend on a seed alone.
    """

    images: Tensor
    feature_shapes: tuple[torch.Size, ...]
    seed: int
    folder: Path | None = None
    task: str = ""
    classes: int = 0
    steps_per_epoch: int = 0
    epochs: int = 0
    labels: Tensor | None = None
    recording: Recording | None = None
    untrained: Callable[[int], nn.Module] | None = None


class Batch(NamedTuple):
    """A batch of the task.

    Attributes:
        images: in [0, 1], (V * B, C, H, W): V views of B images, one view after the other.
        targets: labels int64 (B,), or probabilities float (B, classes).
        views: V.
        joint: whether BatchNorm normalizes the views together; otherwise each by its own statistics.
    """

    images: Tensor
    targets: Tensor
    views: int = 1
    joint: bool = False


class Step:
    """The outcome of a step's forward passes, as ``loss`` and ``penalty`` receive it; all in float32 at least.

    Attributes:
        logits: of the task, (V * B, classes).
        targets, images, views: of the task's batch, as ``Batch`` has them.
        features: of the task's batch for each tapped layer, (V * B, C, H, W); needs ``task_features``.
        weights: name -> matrix or kernel of the network, of two dimensions and more.
        first, second: of the P pairs for each tapped layer, (P, C, H, W); they need ``pairs``, as the next three do.
        first_images, second_images: the images of the pairs, in [0, 1], (P, C, H, W).
        ranks: of the pairs, int64 (P,); see ``robustbench_pix.regularizers.pairs``.
        single: of S images for each tapped layer, (S, C, H, W); needs ``singles``, as the next two do.
        single_images: these images of the regularization data, in [0, 1], (S, C, H, W).
        numbers: of these images in the regularization data, int64 (S,).
    """

    logits: Tensor
    targets: Tensor
    images: Tensor
    views: int
    features: list[Tensor]
    weights: Mapping[str, Tensor]
    first: list[Tensor]
    second: list[Tensor]
    first_images: Tensor
    second_images: Tensor
    ranks: Tensor
    single: list[Tensor]
    single_images: Tensor
    numbers: Tensor

    def __init__(self, **present: Any) -> None:
        self.__dict__.update(present)

    def __getattr__(self, name: str) -> Any:
        """Refuse what was not declared.

        Raises:
            JobFailedError: the step has it only for recipes that declare the need.
        """
        if name in NEEDS:
            raise JobFailedError(f"the recipe reads step.{name} without declaring {NEEDS[name]}")
        raise AttributeError(f"a step has no {name!r}")


class Recipe(nn.Module):
    """Base class of recipes. Its parameters, if any, are trained by the same optimizer as the network.

    Slots see tensors on the device that trains. On a GPU a step is captured once and replayed, unless a slot
    synchronizes (``.item()``, ``if tensor``) or draws from global generators, which is slower. Python state that
    changes between calls, such as a step counter, is not replayed: keep it in a tensor and change it in place.
    """

    pairs: int = 0
    """Pairs of images of the regularization data drawn at each step."""
    singles: int = 0
    """Single images of the regularization data drawn at each step."""
    task_features: bool = False
    """Whether the feature maps of the task's batch are wanted."""
    double_backward: bool = False
    """Whether the loss contains a derivative by the task's images, which is derived again for the weights."""
    penalizes: bool = True
    """Whether ``penalty`` is called; False for a recipe that only needs the pairs' forward passes."""
    file_parameters: ClassVar[frozenset[str]] = frozenset()
    """Parameters that name files: not their path but the digest from ``check`` is part of a run's identity."""
    trained_on: ClassVar[tuple[str, ...]] = ()
    """Names of the registered attacks by which training images are perturbed: a recipe is no competitor under them."""

    def __init__(self, context: RecipeContext) -> None:
        super().__init__()

    @classmethod
    def unavailable(cls, parameters: dict[str, Any], folder: Path | None) -> str | None:
        """Return the reason why a recipe with these parameters cannot run, or None; must be fast."""
        return None

    @classmethod
    def check(cls, parameters: dict[str, Any], folder: Path | None, images: int) -> str | None:
        """Check parameters and files before anything is trained; return a digest of the files' content, or None."""
        return None

    @classmethod
    def lacking(cls, parameters: dict[str, Any], data: RegularizationData) -> str | None:
        """Return what a recipe with these parameters needs and the regularization data lack, or None."""
        return None

    @classmethod
    def content(cls, parameters: dict[str, Any], folder: Path | None, data: RegularizationData) -> str | None:
        """Check what a recipe is trained with beside the images, before training; return a digest of it, or None.

        Unless a recipe tells which of them its parameters read, labels and recording count: ``context`` has them.
        """
        checked, beside = cls.check(parameters, folder, len(data.images)), data.beside_the_images()
        return digest([checked, beside]) if beside else checked

    @classmethod
    def network(cls, network: nn.Module, *, channels: int, classes: int, **parameters: Any) -> nn.Module:
        """Return the network to train, from the task's network and the recipe's parameters alone.

        It has a method ``features(images)``. It is rebuilt in the same way when its weights are loaded.
        """
        return network

    def allowed(self) -> Tensor | None:
        """Return the ranks of the pairs to draw from, int64 (K,), or None for all pairs."""
        return None

    def begin(self, epoch: int, tools: Tools) -> None:
        """Prepare an epoch, counted from 0; change buffers in place, never rebind them."""

    def batch(self, batch: Batch, tools: Tools) -> Batch:
        """Return the batch to train on, from one view of images in [0, 1] and labels."""
        return batch

    def loss(self, step: Step) -> Tensor:
        """Return the loss of the task, a scalar."""
        return functional.cross_entropy(step.logits, step.targets)

    def penalty(self, step: Step) -> Tensor:
        """Return the penalty, a scalar; training multiplies it by ``alpha``."""
        raise NotImplementedError

    def report(self) -> dict[str, float]:
        """Return numbers for the training log, such as learned layer weights."""
        return {}


def defines(recipe: Any, slot: str) -> bool:
    """Return whether a recipe, or a class of recipes, defines a slot such as ``batch``."""
    of = recipe if isinstance(recipe, type) else type(recipe)
    return issubclass(of, Recipe) and getattr_static(of, slot) is not getattr_static(Recipe, slot)


def slots_of(recipe: Any) -> list[str]:
    """Return the slots that a class of recipes, or a function, defines."""
    return [slot for slot in SLOTS if defines(recipe, slot)] if isinstance(recipe, type) else ["penalty"]


def needs_of(recipe: Any) -> list[str]:
    """Return the needs that a class of recipes, or a function, declares."""
    return [need for need in DECLARED if getattr(recipe, need)] if isinstance(recipe, type) else ["pairs"]


def remains_without_penalty(recipe: Any) -> bool:
    """Return whether anything of a recipe remains with ``alpha = 0``: its network, its batches, its loss."""
    return any(defines(recipe, slot) for slot in ("network", "batch", "loss"))


def needs_images(recipe: Any) -> bool:
    """Return whether a class of recipes, or a function, is trained with regularization data."""
    is_recipe = isinstance(recipe, type) and issubclass(recipe, Recipe)
    return not is_recipe or recipe.pairs > 0 or recipe.singles > 0

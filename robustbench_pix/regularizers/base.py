"""The contract of a regularizer: it states a number of pairs, receives their features, and returns a penalty."""

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from robustbench_pix.errors import UserError

DEFAULT_PAIRS = 16


@dataclass(frozen=True)
class RegularizerContext:
    """The inputs of a regularizer's constructor.

    Attributes:
        images: the regularization data, uint8, (N, C, H, W), on the CPU.
        feature_shapes: (C, H, W) of each tapped layer for one such image.
        seed: seed of the model; draw from ``robustbench_pix.randomness.stream("my-purpose", seed)`` only.
        folder: the folder of the recipe's file, for files that it names.
    """

    images: Tensor
    feature_shapes: tuple[torch.Size, ...]
    seed: int
    folder: Path | None = None


@dataclass(frozen=True)
class PairStep:
    """The inputs of a regularizer at each training step, for P pairs of images of the regularization data.

    Attributes:
        first, second: for each tapped layer the feature maps of the pairs' images, (P, C, H, W), with gradient.
        first_images, second_images: the images, float32 in [0, 1], (P, C, H, W).
        ranks: the ranks of the pairs, int64 (P,); see ``robustbench_pix.regularizers.pairs``.
    """

    first: list[Tensor]
    second: list[Tensor]
    first_images: Tensor
    second_images: Tensor
    ranks: Tensor


class Regularizer(nn.Module):
    """Base class. Its parameters, if any, are trained by the same optimizer as the network.

    Training multiplies the penalty by the recipe's ``alpha``; with alpha = 0 no regularizer is built.
    """

    pairs: int = DEFAULT_PAIRS
    penalizes: bool = True
    """Whether ``forward`` is called; False for a regularizer that only needs the pairs' forward passes."""
    file_parameters: ClassVar[frozenset[str]] = frozenset()
    """Parameters that name files: not their path but the digest from ``check`` is part of a run's identity."""

    def __init__(self, context: RegularizerContext) -> None:
        super().__init__()

    @classmethod
    def unavailable(cls, parameters: dict[str, Any], folder: Path | None) -> str | None:
        """Return the reason why a recipe with these parameters cannot run, or None; must be fast."""
        return None

    @classmethod
    def check(cls, parameters: dict[str, Any], folder: Path | None, images: int) -> str | None:
        """Check files that the parameters name before anything is trained; return a digest of their content."""
        return None

    def allowed(self) -> Tensor | None:
        """Return the ranks of the pairs to draw from, int64 (K,), or None for all pairs."""
        return None

    def forward(self, step: PairStep) -> Tensor:
        """Return the penalty, a scalar.

        On a GPU a step is captured once and replayed, unless it synchronizes (``.item()``, ``if tensor``) or draws from
        global generators, which is slower. Python state that changes between calls, such as a step counter, is not
        replayed: keep it in a tensor.
        """
        raise UserError(f"The regularizer {type(self).__name__} must define forward(step) and return a scalar.")

    def report(self) -> dict[str, float]:
        """Return numbers for the training log, such as learned layer weights."""
        return {}


class FunctionRegularizer(Regularizer):
    """A plain function ``penalty(step, **parameters) -> scalar`` as a regularizer."""

    def __init__(
        self, context: RegularizerContext, *, penalty: Callable[..., Tensor], pairs: int, **parameters: Any
    ) -> None:
        super().__init__(context)
        self.pairs, self.penalty, self.parameters_of_penalty = pairs, penalty, parameters

    def forward(self, step: PairStep) -> Tensor:
        """Return the function's value."""
        return self.penalty(step, **self.parameters_of_penalty)


def build_regularizer(target: Any, context: RegularizerContext, parameters: dict[str, Any], name: str) -> Regularizer:
    """Return the regularizer behind a registered class or function; its weight ``alpha`` is the recipe's.

    Raises:
        UserError: it does not accept the recipe's parameters, or is neither a class nor a function.
    """
    own = dict(parameters)
    if inspect.isclass(target) and issubclass(target, Regularizer):
        _refuse_unknown(target.__init__, own, name)
        return target(context, **own)
    if not callable(target):
        raise UserError(f"The regularizer {name!r} is neither a class derived from Regularizer nor a function.")
    pairs = own.pop("pairs", DEFAULT_PAIRS)
    _refuse_unknown(target, own, name)
    return FunctionRegularizer(context, penalty=target, pairs=pairs, **own)


def _refuse_unknown(function: Callable[..., Any], parameters: dict[str, Any], name: str) -> None:
    known = inspect.signature(function).parameters
    if any(parameter.kind is inspect.Parameter.VAR_KEYWORD for parameter in known.values()):
        return
    wrong = sorted(set(parameters) - set(known))
    if wrong:
        offered = ", ".join(list(known)[1:]) or "none"
        raise UserError(f"The regularizer {name!r} has no parameter {', '.join(wrong)}; it takes: {offered}.")

"""The contract of a regularizer: it says how many pairs it needs, is handed their features, and returns a penalty."""

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
class Setting:
    """What a regularizer may know when it is built.

    Attributes:
        images: the regularization images, uint8, (N, C, H, W), on the CPU.
        feature_shapes: for each tapped layer (C, H, W) of one such image.
        seed: of the model; draw from ``robustbench_pix.randomness.stream("my-purpose", seed)`` only.
        folder: the folder of the recipe's file, for files that it names.
    """

    images: Tensor
    feature_shapes: tuple[torch.Size, ...]
    seed: int
    folder: Path | None = None


@dataclass(frozen=True)
class PairStep:
    """What the engine hands over at each training step, for P pairs of regularization images.

    Attributes:
        first, second: for each tapped layer the feature maps of the pairs' images, (P, C, H, W), with gradient.
        first_images, second_images: the images, float32 in [0, 1], (P, C, H, W).
        ranks: the numbers of the pairs, int64 (P,); see ``robustbench_pix.regularizers.pairs``.
    """

    first: list[Tensor]
    second: list[Tensor]
    first_images: Tensor
    second_images: Tensor
    ranks: Tensor


class Regularizer(nn.Module):
    """Base class. Its parameters, if any, are trained by the same optimizer as the network.

    The engine multiplies the penalty by the recipe's ``alpha``; alpha = 0 builds no regularizer at all.
    """

    pairs: int = DEFAULT_PAIRS
    penalizes: bool = True
    """Whether ``forward`` is wanted; a regularizer that only wants the pairs' forwards done, without it, says False."""
    file_parameters: ClassVar[frozenset[str]] = frozenset()
    """Parameters that name files: their place is no part of a run's identity, the digest from ``check`` is."""

    def __init__(self, setting: Setting) -> None:
        super().__init__()

    @classmethod
    def unavailable(cls, parameters: dict[str, Any], folder: Path | None) -> str | None:
        """Return why a recipe with these parameters cannot run at all, or None; nothing heavy is done here."""
        return None

    @classmethod
    def check(cls, parameters: dict[str, Any], folder: Path | None, images: int) -> str | None:
        """Check files that the parameters name before anything is trained; return a digest of their content."""
        return None

    def allowed(self) -> Tensor | None:
        """Return the numbers of the pairs to draw from, int64 (K,), or None for all pairs."""
        return None

    def forward(self, step: PairStep) -> Tensor:
        """Return the penalty, a scalar.

        On a GPU a step is recorded once and replayed, unless it waits for the device (``.item()``, ``if tensor``) or
        draws from global generators, which is slower. What Python remembers from call to call, such as a counter of
        steps, is not replayed: keep it in a tensor.
        """
        raise UserError(f"The regularizer {type(self).__name__} must define forward(step) and return a scalar.")

    def report(self) -> dict[str, float]:
        """Return numbers worth a column in the training log, such as learned layer weights."""
        return {}


class FunctionRegularizer(Regularizer):
    """A plain function ``penalty(step, **parameters) -> scalar`` as a regularizer."""

    def __init__(self, setting: Setting, *, penalty: Callable[..., Tensor], pairs: int, **parameters: Any) -> None:
        super().__init__(setting)
        self.pairs, self.penalty, self.parameters_of_penalty = pairs, penalty, parameters

    def forward(self, step: PairStep) -> Tensor:
        """Return the function's value."""
        return self.penalty(step, **self.parameters_of_penalty)


def build_regularizer(target: Any, setting: Setting, parameters: dict[str, Any], name: str) -> Regularizer:
    """Return the regularizer behind a registered class or function; ``alpha`` stays with the engine.

    Raises:
        UserError: it takes other parameters than the recipe states, or is neither a class nor a function.
    """
    own = {key: value for key, value in parameters.items() if key != "alpha"}
    if inspect.isclass(target) and issubclass(target, Regularizer):
        _refuse_unknown(target.__init__, own, name)
        return target(setting, **own)
    if not callable(target):
        raise UserError(f"The regularizer {name!r} is neither a class derived from Regularizer nor a function.")
    pairs = own.pop("pairs", DEFAULT_PAIRS)
    _refuse_unknown(target, own, name)
    return FunctionRegularizer(setting, penalty=target, pairs=pairs, **own)


def _refuse_unknown(function: Callable[..., Any], parameters: dict[str, Any], name: str) -> None:
    known = inspect.signature(function).parameters
    if any(parameter.kind is inspect.Parameter.VAR_KEYWORD for parameter in known.values()):
        return
    wrong = sorted(set(parameters) - set(known))
    if wrong:
        offered = ", ".join(list(known)[1:]) or "none"
        raise UserError(f"The regularizer {name!r} has no parameter {', '.join(wrong)}; it takes: {offered}.")

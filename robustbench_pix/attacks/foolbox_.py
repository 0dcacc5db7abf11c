"""Any attack of foolbox by its class name: called, never ``.run``, with our starting points and our random state."""

import inspect
from collections.abc import Callable, Iterator, Sequence
from contextlib import nullcontext, suppress
from typing import Any

import torch
from torch import Tensor, nn

from robustbench_pix.attacks.access import BudgetSpentError
from robustbench_pix.attacks.base import (
    Attack,
    FixedStrengthAttack,
    ImageKey,
    MinimalDistanceAttack,
    Target,
    attacked_module,
)
from robustbench_pix.attacks.engines import reason
from robustbench_pix.attacks.failures import Failures, raise_ours
from robustbench_pix.catalogue.specs import AttackSpec
from robustbench_pix.errors import UserError
from robustbench_pix.randomness import global_streams

NORM_OVER_THE_BATCH = frozenset({"HopSkipJumpAttack"})
"""Divides an estimate by its norm over the whole batch, so each image is a batch of its own."""


class Blank(nn.Module):
    """Zero logits: in the place of a model that an attack does not ask about anything but its success."""

    def __init__(self, classes: int) -> None:
        super().__init__()
        self.classes = classes
        self.eval()

    def forward(self, images: Tensor) -> Tensor:
        """Return zeros (N, classes)."""
        return images.new_zeros(len(images), self.classes)


class FoolboxAttack:
    """What both kinds share: calling foolbox on a batch, and on its images one by one where that raises an error."""

    def __init__(self, engine_attack: Any, reference: str) -> None:
        self.engine_attack = engine_attack
        self.failures = Failures(reference)
        self.one_by_one = type(engine_attack).__name__ in NORM_OVER_THE_BATCH
        self.batch_dependent = not self.one_by_one
        self.call_parameters = set(inspect.signature(engine_attack.run).parameters)

    def run(
        self,
        target: Target,
        images: Tensor,
        labels: Tensor,
        starts: Tensor | None,
        keys: Sequence[ImageKey],
        which: Callable[[tuple[Tensor, Tensor, Tensor]], Tensor],
        **given: Any,
    ) -> Tensor:
        """Return foolbox's images; NaN where it raised an error on the image alone."""

        def call(rows: slice, key: ImageKey) -> Tensor:
            with_starts = {} if starts is None else {"starting_points": starts[rows]}
            model, criterion = _model_and_criterion(target, labels[rows], images)
            with global_streams("foolbox", *key.parts):
                return which(self.engine_attack(model, images[rows], criterion, **with_starts, **given))

        try:
            found = call(slice(None), target.batch)
            self.failures.succeeded(len(keys))
            return found
        except Exception as error:
            raise_ours(error)
        self.failures.alone(keys)
        found = images.clone()
        for place, key in enumerate(keys):
            row = slice(place, place + 1)
            with suppress(BudgetSpentError), _asked_alone(target, place):
                try:
                    found[row] = call(row, key)
                    self.failures.succeeded()
                except Exception as error:
                    self.failures.note(error, key)
                    found[row] = torch.nan
        return found


class FoolboxFixedStrength(FoolboxAttack, FixedStrengthAttack):
    """An attack of foolbox that takes epsilons; foolbox clips and we judge."""

    def perturb(
        self, target: Target, images: Tensor, labels: Tensor, strengths: Sequence[float], keys: Sequence[ImageKey]
    ) -> Iterator[Tensor]:
        """Yield foolbox's clipped images at each strength; strength 0 is the image itself."""
        for strength in strengths:
            if strength == 0:
                yield images
            else:
                yield self.run(target, images, labels, None, keys, lambda result: result[1], epsilons=strength)


class FoolboxMinimalDistance(FoolboxAttack, MinimalDistanceAttack):
    """An attack of foolbox that minimizes a distance; it draws once for the whole batch, so batches matter."""

    def __init__(self, engine_attack: Any, reference: str) -> None:
        super().__init__(engine_attack, reference)
        self.needs_starts = "starting_points" in self.call_parameters

    def minimize(
        self, target: Target, images: Tensor, labels: Tensor, starts: Tensor | None, keys: Sequence[ImageKey]
    ) -> Tensor:
        """Return the images that foolbox found."""
        given = {"epsilons": None} if "early_stop" in self.call_parameters else {}
        return self.run(target, images, labels, starts, keys, lambda result: result[0], **given)


def build_foolbox_attack(wanted: Any, spec: AttackSpec) -> Attack:
    """Return the adapter around a class of foolbox.

    Raises:
        UserError: the class refuses the parameters.
    """
    from foolbox.attacks.base import FixedEpsilonAttack

    forced = {"constraint": spec.strength} if "constraint" in inspect.signature(wanted).parameters else {}
    try:
        engine_attack = wanted(**spec.parameters, **forced)
    except Exception as error:
        raise UserError(f"{spec.attack} refused its parameters: {reason(error)}.") from error
    fixed = isinstance(engine_attack, FixedEpsilonAttack)
    return (FoolboxFixedStrength if fixed else FoolboxMinimalDistance)(engine_attack, spec.attack)


def _asked_alone(target: Target, place: int) -> Any:
    ledger = None if target.oracle is None else target.oracle.ledger
    return nullcontext() if ledger is None else ledger.only(place)


def _model_and_criterion(target: Target, labels: Tensor, images: Tensor) -> tuple[Any, Any]:
    import foolbox

    blind = target.oracle is None and target.source is None
    module: nn.Module = Blank(target.classes) if blind else attacked_module(target)
    model = foolbox.PyTorchModel(module, bounds=(0, 1), device=images.device)
    return model, foolbox.criteria.Misclassification(labels)

"""Adapter of foolbox attacks: called (never ``.run``) with the harness's starting points and random state."""

import inspect
from collections.abc import Callable
from contextlib import nullcontext, suppress
from typing import Any

import torch
from torch import Tensor, nn

from robustbench_pix.attacks.base import Attack, AttackContext, MinimalDistanceAttack, SearchAttack
from robustbench_pix.attacks.common.norms import Ball
from robustbench_pix.attacks.libraries.classes import reason
from robustbench_pix.attacks.libraries.failures import Failures, raise_ours
from robustbench_pix.attacks.querying.oracle import BudgetSpentError
from robustbench_pix.catalogue.specs import AttackSpec
from robustbench_pix.errors import UserError
from robustbench_pix.randomness import ImageKey, ImageKeys, global_streams

NORM_OVER_THE_BATCH = frozenset({"HopSkipJumpAttack"})
"""Attacks that divide an estimate by its norm over the whole batch: each image is its own batch."""


class ZeroLogits(nn.Module):
    """Zero logits, for attacks without access, which query a model for nothing but their success."""

    def __init__(self, classes: int) -> None:
        super().__init__()
        self.classes = classes
        self.eval()

    def forward(self, images: Tensor) -> Tensor:
        """Return zeros (N, classes)."""
        return images.new_zeros(len(images), self.classes)


class FoolboxAttack:
    """Base of both kinds: calls foolbox on a batch, and on its images one by one if that raises an error."""

    def __init__(self, engine_attack: Any, reference: str) -> None:
        self.engine_attack = engine_attack
        self.failures = Failures(reference)
        self.one_by_one = type(engine_attack).__name__ in NORM_OVER_THE_BATCH
        self.batch_dependent = not self.one_by_one
        self.call_parameters = set(inspect.signature(engine_attack.run).parameters)

    def run(
        self,
        context: AttackContext,
        images: Tensor,
        labels: Tensor,
        starts: Tensor | None,
        keys: ImageKeys,
        which: Callable[[tuple[Tensor, Tensor, Tensor]], Tensor],
        **given: Any,
    ) -> Tensor:
        """Return foolbox's images; NaN where it raised an error on the image alone."""

        def call(rows: slice, key: ImageKey) -> Tensor:
            with_starts = {} if starts is None else {"starting_points": starts[rows]}
            model, criterion = _model_and_criterion(context, labels[rows], images)
            with global_streams("foolbox", *key.parts):
                return which(self.engine_attack(model, images[rows], criterion, **with_starts, **given))

        try:
            found = call(slice(None), context.batch)
            self.failures.succeeded(len(keys))
            return found
        except Exception as error:
            raise_ours(error)
        self.failures.alone(keys)
        found, log = images.clone(), None if context.oracle is None else context.oracle.log
        for place, key in enumerate(keys):
            row = slice(place, place + 1)
            with suppress(BudgetSpentError), nullcontext() if log is None else log.only(place):
                try:
                    found[row] = call(row, key)
                    self.failures.succeeded()
                except Exception as error:
                    self.failures.record(error, key)
                    found[row] = torch.nan
        return found


class FoolboxFixedStrength(FoolboxAttack, SearchAttack):
    """A foolbox attack with epsilons; foolbox clips and the harness judges."""

    def search(self, context: AttackContext, ball: Ball, labels: Tensor, keys: ImageKeys) -> Tensor:
        """Return foolbox's clipped images."""
        return self.run(context, ball.images, labels, None, keys, lambda result: result[1], epsilons=ball.radius)


class FoolboxMinimalDistance(FoolboxAttack, MinimalDistanceAttack):
    """A foolbox attack that minimizes a distance; it draws once for a batch, so that results depend on the batch."""

    def __init__(self, engine_attack: Any, reference: str) -> None:
        super().__init__(engine_attack, reference)
        self.needs_starts = "starting_points" in self.call_parameters

    def minimize(
        self, context: AttackContext, images: Tensor, labels: Tensor, starts: Tensor | None, keys: ImageKeys
    ) -> Tensor:
        """Return the images that foolbox found."""
        given = {"epsilons": None} if "early_stop" in self.call_parameters else {}
        return self.run(context, images, labels, starts, keys, lambda result: result[0], **given)


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


def _model_and_criterion(context: AttackContext, labels: Tensor, images: Tensor) -> tuple[Any, Any]:
    import foolbox

    blind = context.oracle is None and context.source is None
    module: nn.Module = ZeroLogits(context.classes) if blind else context.model
    model = foolbox.PyTorchModel(module, bounds=(0, 1), device=images.device)
    return model, foolbox.criteria.Misclassification(labels)

"""From a catalogue entry to an attack: own and user attacks by the registry, others by the adapter of their library."""

import inspect
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any

from torch import Tensor

from robustbench_pix.attacks.base import Attack, AttackContext, FixedStrengthAttack, MinimalDistanceAttack
from robustbench_pix.attacks.libraries.classes import CLASSES, engine_of
from robustbench_pix.attacks.libraries.signatures import check_signature, engine_class
from robustbench_pix.attacks.requirements import fits
from robustbench_pix.catalogue.registries import attacks
from robustbench_pix.catalogue.specs import AttackSpec
from robustbench_pix.errors import UserError
from robustbench_pix.foreign import foreign_code
from robustbench_pix.randomness import ImageKeys


class FunctionAttack(FixedStrengthAttack):
    """A plain function ``(context, images, labels, strengths, keys) -> iterable of images`` as an attack."""

    def __init__(self, function: Callable[..., Any]) -> None:
        self.function = function

    def perturb(
        self, context: AttackContext, images: Tensor, labels: Tensor, strengths: Sequence[float], keys: ImageKeys
    ) -> Iterator[Tensor]:
        """Yield the function's images at each strength."""
        yield from self.function(context, images, labels, strengths, keys)


def build_attack(spec: AttackSpec) -> Attack:
    """Return the attack that a catalogue entry names.

    Raises:
        UserError: the attack does not exist, is known to be unusable, refuses its parameters, needs another access or
            strength, or is neither a class nor a function.
    """
    engine = engine_of(spec.attack)
    if engine is None:
        return _registered(spec)
    try:
        return _of_library(engine, spec)
    except UserError as error:
        raise UserError(f"{spec.path}: {error}") from error


def _of_library(engine: str, spec: AttackSpec) -> Attack:
    wanted = engine_class(spec.attack)
    fits(spec.attack, CLASSES[spec.attack], spec.access, spec.strength)
    check_signature(spec.attack, inspect.signature(wanted), spec.parameters)
    if engine == "foolbox":
        from robustbench_pix.attacks.libraries.foolbox_adapter import build_foolbox_attack

        return build_foolbox_attack(wanted, spec)
    from robustbench_pix.attacks.libraries.art_adapter import build_art_attack

    return build_art_attack(wanted, spec)


def _registered(spec: AttackSpec) -> Attack:
    target = attacks.load(spec.attack, spec.folder)
    try:
        if inspect.isclass(target):
            with foreign_code():
                built = target(**spec.parameters)
            if isinstance(built, (FixedStrengthAttack, MinimalDistanceAttack)):
                if built.needs is not None:
                    fits(f"{spec.path}: {spec.attack}", built.needs, spec.access, spec.strength)
                return built
        elif callable(target):
            inspect.signature(target).bind(*range(5), **spec.parameters)
            return FunctionAttack(partial(target, **spec.parameters))
    except UserError:
        raise
    except Exception as error:
        raise UserError(f"{spec.path}: {spec.attack} refused its parameters: {error}.") from error
    raise UserError(f"{spec.path}: {spec.attack} is neither an attack class nor a function.")

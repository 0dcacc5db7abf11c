"""Turn a catalogue entry into an attack: ours or a user's through the registry, others through their engine."""

import inspect
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any

from torch import Tensor

from robustbench_pix.attacks.base import Attack, FixedStrengthAttack, ImageKey, MinimalDistanceAttack, Target
from robustbench_pix.attacks.engines import KNOWN_DEFECTS, engine_of
from robustbench_pix.catalogue.registries import attacks
from robustbench_pix.catalogue.specs import AttackSpec
from robustbench_pix.errors import UserError


class FunctionAttack(FixedStrengthAttack):
    """A plain function ``(target, images, labels, strengths, keys) -> iterable of images`` as an attack."""

    def __init__(self, function: Callable[..., Any]) -> None:
        self.function = function

    def perturb(
        self, target: Target, images: Tensor, labels: Tensor, strengths: Sequence[float], keys: Sequence[ImageKey]
    ) -> Iterator[Tensor]:
        """Yield what the function gives for each strength."""
        yield from self.function(target, images, labels, strengths, keys)


def build_attack(spec: AttackSpec) -> Attack:
    """Return the attack that a catalogue entry names.

    Raises:
        UserError: it does not exist, is known to be unusable, refuses its parameters, or is neither class nor function.
    """
    defect = KNOWN_DEFECTS.get(spec.attack)
    if defect is not None and defect.fatal:
        raise UserError(f"{spec.path}: {spec.attack} cannot be used: it {defect.reason}.")
    name = spec.attack.rpartition(":")[2]
    if engine_of(spec.attack) == "foolbox":
        from robustbench_pix.attacks.foolbox_ import build_foolbox_attack

        return build_foolbox_attack(name, spec.parameters)
    if engine_of(spec.attack) == "art":
        from robustbench_pix.attacks.art_ import build_art_attack

        return build_art_attack(name, spec.parameters, spec.strength)
    return _registered(spec)


def _registered(spec: AttackSpec) -> Attack:
    target = attacks.load(spec.attack, spec.folder)
    try:
        if inspect.isclass(target):
            built = target(**spec.parameters)
            if isinstance(built, (FixedStrengthAttack, MinimalDistanceAttack)):
                return built
        elif callable(target):
            inspect.signature(target).bind(*range(5), **spec.parameters)
            return FunctionAttack(partial(target, **spec.parameters))
    except (TypeError, ValueError) as error:
        raise UserError(f"{spec.path}: {spec.attack} refused its parameters: {error}.") from error
    raise UserError(f"{spec.path}: {spec.attack} is neither an attack class nor a function.")

"""Attack classes by reference, and the parameters that an entry may state: checks and listings."""

import inspect
import os
from collections.abc import Mapping
from typing import Any

from robustbench_pix.attacks.libraries.classes import CLASSES, KNOWN_DEFECTS, refused
from robustbench_pix.catalogue.registries import attacks
from robustbench_pix.errors import UserError, nearest, unknown

RESERVED = {
    "targeted": "attacks are untargeted here",
    "verbose": "a run shows its own progress",
    "eps": "the strengths set it",
    **dict.fromkeys(("norm", "constraint", "distance"), "strength sets it"),
    "init_attack": "the harness finds the starting points",
    **dict.fromkeys(("tensorboard", "summary_writer"), "an attack writes no files here"),
}
"""Parameter that an entry may not state -> the reason."""


def takes(signature: inspect.Signature) -> dict[str, inspect.Parameter]:
    """Return the parameters of a class that an entry may state, by name."""
    return {
        name: parameter
        for name, parameter in signature.parameters.items()
        if parameter.kind not in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD)
        and name not in {"estimator", "classifier", *RESERVED}
    }


def check_signature(reference: str, signature: inspect.Signature, stated: Mapping[str, Any]) -> None:
    """Check the names and the obvious types of the parameters that an entry states.

    Raises:
        UserError: one is unknown, missing, set by the harness, or of another type than its default.
    """
    known = takes(signature)
    for name, value in stated.items():
        if name in signature.parameters and name in RESERVED:
            raise UserError(f"{reference} may not be given {name}: {RESERVED[name]}.")
        if name not in known:
            names = ", ".join(known) or "none"
            raise UserError(f"{reference} has no parameter {name!r}.{nearest(name, known)} (There are: {names}.)")
        wanted = _mismatch(value, known[name].default)
        if wanted:
            raise UserError(f"{reference}: {name} must be {wanted} (got {value!r}).")
    missing = [name for name, one in known.items() if one.default is one.empty and name not in stated]
    if missing:
        raise UserError(f"{reference} must be given {', '.join(missing)}.")


KINDS: tuple[tuple[type, str, tuple[type, ...]], ...] = (
    (bool, "true or false", (bool,)),
    (int, "a whole number", (int,)),
    (float, "a number", (int, float)),
    (str, "a text", (str,)),
    (tuple, "a list", (list,)),
)
"""The type of a default, its name, and the types that an entry may state for it; a whole number is not a bool."""


def _mismatch(value: Any, default: Any) -> str:
    for kind, name, allowed in KINDS:
        if isinstance(default, kind):
            wrong = isinstance(value, bool) and kind is not bool
            return name if wrong or not isinstance(value, allowed) else ""
    return ""


os.environ.setdefault("GIT_PYTHON_REFRESH", "quiet")  # foolbox imports GitPython, which fails without a git executable

LISTED = {"foolbox": "rbp attacks --engine foolbox", "art": "rbp attacks --engine art"}


def engine_classes(engine: str) -> dict[str, Any]:
    """Return the evasion classes of ``foolbox`` or ``art`` by name, aliases included."""
    if engine == "foolbox":
        import foolbox.attacks as module
        from foolbox.attacks.base import Attack as Base
    else:
        import art.attacks.evasion as module
        from art.attacks.attack import EvasionAttack as Base
    return {
        name: value
        for name, value in sorted(vars(module).items())
        if inspect.isclass(value) and issubclass(value, Base) and not inspect.isabstract(value)
    }


def engine_class(reference: str) -> Any:
    """Return the class that a reference such as ``foolbox:LinfPGD`` names.

    Raises:
        UserError: there is none, or it cannot be used.
    """
    engine, _, name = reference.partition(":")
    classes = engine_classes(engine)
    if name not in classes and reference not in CLASSES:
        what = {"foolbox": "attack of foolbox", "art": "evasion attack of the toolbox"}[engine]
        raise unknown(what, name, classes, list_with=LISTED[engine])
    reason = refused(reference)
    if reason:
        raise UserError(f"{reference} cannot be used: it {reason}.")
    return classes[name]


def nameable(engine: str) -> list[dict[str, Any]]:
    """Return the classes of a library that an entry can name, one row each, with their known issues."""
    rows = []
    for name, wanted in engine_classes(engine).items():
        reference = f"{engine}:{name}"
        needs, defect, reason = CLASSES.get(reference), KNOWN_DEFECTS.get(reference), refused(reference)
        parameters = takes(inspect.signature(wanted)) if needs else {}
        rows.append(
            {
                "class": reference,
                "access": needs.access if needs else "",
                "strength": list(needs.strengths) if needs else [],
                "parameters": {key: default_of(one) for key, one in parameters.items()},
                "known_defect": f"refused: {reason}" if reason else defect.reason if defect else "",
            }
        )
    return rows


def default_of(parameter: inspect.Parameter) -> Any:
    """Return the default of a parameter as a listing shows it."""
    value = parameter.default
    if value is parameter.empty:
        return "required"
    if isinstance(value, (bool, int, float, str)):
        return value
    return list(value) if isinstance(value, tuple) else "none" if value is None else "an object"


def nameable_of_ours() -> list[dict[str, Any]]:
    """Return one row for each registered attack: its name, its parameters with their defaults, and its summary."""
    rows = []
    for name in attacks.names():
        try:
            target = attacks.load(name)
        except UserError as error:
            rows.append({"attack": name, "parameters": {}, "what": f"refused: {error}"})
            continue
        skipped = 0 if inspect.isclass(target) else 5
        parameters = list(inspect.signature(target).parameters.values())[skipped:]
        kept = [one for one in parameters if one.kind not in (one.VAR_KEYWORD, one.VAR_POSITIONAL)]
        stated = {one.name: default_of(one) for one in kept}
        rows.append({"attack": name, "parameters": stated, "what": (inspect.getdoc(target) or "").partition("\n")[0]})
    return rows

"""The parameters of an entry against the signature of the class that will take them."""

import inspect
from collections.abc import Mapping
from typing import Any

from robustbench_pix.errors import UserError, nearest

RESERVED = {
    "targeted": "attacks are untargeted here",
    "verbose": "a run shows its own progress",
    "eps": "the strengths set it",
    "norm": "strength sets it",
    "constraint": "strength sets it",
    "distance": "strength sets it",
    "init_attack": "the harness finds the starting points",
    "tensorboard": "an attack writes no files here",
    "summary_writer": "an attack writes no files here",
}
"""What an entry may not state, and why."""


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
"""The type of a default, its name, and what an entry may state in its place; a whole number is not a truth value."""


def _mismatch(value: Any, default: Any) -> str:
    for kind, name, allowed in KINDS:
        if isinstance(default, kind):
            wrong = isinstance(value, bool) and kind is not bool
            return name if wrong or not isinstance(value, allowed) else ""
    return ""

"""The attack classes of the libraries, imported: by reference, and as a list of what an entry can name."""

import inspect
import os
from typing import Any

from robustbench_pix.attacks.engine_classes import CLASSES
from robustbench_pix.attacks.engines import KNOWN_DEFECTS, refused
from robustbench_pix.attacks.signatures import takes
from robustbench_pix.errors import UserError, unknown

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
    """Return what an entry can name of a library, one row a class, with what is known against it."""
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

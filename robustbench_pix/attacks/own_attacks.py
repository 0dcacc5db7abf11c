"""What a catalogue entry can name of our own attacks: everything that is registered."""

import inspect
from typing import Any

from robustbench_pix.attacks.engine_signatures import default_of
from robustbench_pix.catalogue.registries import attacks
from robustbench_pix.errors import UserError


def nameable_of_ours() -> list[dict[str, Any]]:
    """Return one row for each registered attack: its name, its parameters with their defaults, and what it does."""
    rows = []
    for name in attacks.names():
        try:
            target = attacks.load(name)
        except UserError as error:
            rows.append({"attack": name, "parameters": {}, "what": f"refused: {error}"})
            continue
        signature = inspect.signature(target)
        skipped = 0 if inspect.isclass(target) else 5
        parameters = list(signature.parameters.values())[skipped:]
        stated = {
            one.name: default_of(one)
            for one in parameters
            if one.kind is not one.VAR_KEYWORD and one.kind is not one.VAR_POSITIONAL
        }
        rows.append({"attack": name, "parameters": stated, "what": (inspect.getdoc(target) or "").partition("\n")[0]})
    return rows

"""Checks of the numbers that recipes take."""

import math
from typing import Any

from robustbench_pix.errors import UserError, short


def require_number(name: str, value: Any, *, least: float, most: float = math.inf, whole: bool = False) -> None:
    """Refuse what is no number of a range, both ends included.

    Raises:
        UserError: it is none.
    """
    kinds = (int,) if whole else (int, float)
    if isinstance(value, bool) or not isinstance(value, kinds) or not least <= value <= most:
        ends = f"at least {least:g}" + (f" and at most {most:g}" if most < math.inf else "")
        raise UserError(f"{name} must be a {'whole ' * whole}number of {ends} (got {short(value)}).")


def require_choice(name: str, value: Any, choices: tuple[str, ...]) -> None:
    """Refuse what is none of the choices.

    Raises:
        UserError: it is none.
    """
    if value not in choices:
        raise UserError(f"{name} must be one of {', '.join(choices)} (got {short(value)}).")

"""Arguments of the Python side brought to the types that are meant, or refused by one sentence each."""

import os
from collections.abc import Callable, Iterable
from numbers import Integral
from pathlib import Path
from typing import Any

from robustbench_pix.catalogue.workspace import Workspace
from robustbench_pix.errors import UserError


def checked(stated: dict[str, Any]) -> dict[str, Any]:
    """Return arguments by their names, each as the type that its name means; others as they are.

    Raises:
        UserError: one is of another type.

    >>> checked({"recipes": "pixel", "seeds": [4, 5], "replace": False})
    {'recipes': ['pixel'], 'seeds': '4,5,', 'replace': False}
    """
    return {name: CHECKS[name](name, value) if name in CHECKS else value for name, value in stated.items()}


def names(argument: str, stated: Any) -> list[str]:
    """Return the names that a text or a series of texts states.

    Raises:
        UserError: it is neither.

    >>> names("recipes", "pixel"), names("recipes", ("pixel", "neural"))
    (['pixel'], ['pixel', 'neural'])
    """
    if isinstance(stated, str):
        return [stated]
    found = list(stated) if isinstance(stated, Iterable) and not isinstance(stated, (bytes, dict)) else None
    if not found or not all(isinstance(name, str) for name in found):
        raise UserError(f"{argument} must be a text or a list of texts (got {_shown(stated)}).")
    return found


def text(argument: str, stated: Any) -> str:
    """Return a text, or refuse anything else.

    Raises:
        UserError: it is none.
    """
    if not isinstance(stated, str):
        raise UserError(f"{argument} must be a text (got {_shown(stated)}).")
    return stated


def optional_text(argument: str, stated: Any) -> str | None:
    """Return a text, None for None, or refuse anything else."""
    return None if stated is None else text(argument, stated)


def seeds_text(argument: str, stated: Any) -> str:
    """Return seeds as on the command line: a count, or a list that ends in a comma.

    Raises:
        UserError: it is neither a text, nor a whole number, nor a series of whole numbers.

    >>> seeds_text("seeds", 3), seeds_text("seeds", [4, 5]), seeds_text("seeds", "4,")
    ('3', '4,5,', '4,')
    """
    if isinstance(stated, str):
        return stated
    if _is_whole(stated):
        return str(int(stated))
    found = list(stated) if isinstance(stated, Iterable) and not isinstance(stated, (bytes, dict)) else None
    if not found or not all(map(_is_whole, found)):
        raise UserError(f"{argument} must be a count such as 3 or a list of whole numbers (got {_shown(stated)}).")
    return ",".join(str(int(seed)) for seed in found) + ","


def worker_count(argument: str, stated: Any) -> int | None:
    """Return a number of workers, at least 1, or None.

    Raises:
        UserError: it is no such number.
    """
    if stated is not None and not (_is_whole(stated) and stated >= 1):
        raise UserError(f"{argument} must be a whole number of at least 1 (got {_shown(stated)}).")
    return None if stated is None else int(stated)


def path(argument: str, stated: Any) -> Path | None:
    """Return a path, or None for None.

    Raises:
        UserError: it is neither a text nor a path.
    """
    if stated is not None and not isinstance(stated, (str, os.PathLike)):
        raise UserError(f"{argument} must be a path (got {_shown(stated)}).")
    return None if stated is None else Path(stated).expanduser()


def workspace_at(argument: str, stated: Any) -> Workspace:
    """Return the workspace in a folder."""
    return Workspace(path(argument, stated) or Path())


def _is_whole(stated: Any) -> bool:
    return isinstance(stated, Integral) and not isinstance(stated, bool)


def _shown(stated: Any) -> str:
    shown = repr(stated)
    return shown if len(shown) <= 60 else f"a {type(stated).__name__}"


CHECKS: dict[str, Callable[[str, Any], Any]] = {
    **dict.fromkeys(("suite", "size", "model", "task"), text),
    **dict.fromkeys(("name", "regularization_data"), optional_text),
    **dict.fromkeys(("recipes", "on"), names),
    **dict.fromkeys(("weights", "data_root", "cluster"), path),
    "seeds": seeds_text,
    "workers": worker_count,
    "workspace": workspace_at,
    "device": lambda _, stated: None if stated is None else str(stated),
}

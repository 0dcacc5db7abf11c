"""Write what a search chose as a ``[[tuned]]`` entry into the recipe's file; all else in the file stays as it is."""

import json
import re
import tomllib
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from robustbench_pix import __version__
from robustbench_pix.catalogue.workspace import FOLDERS, SHIPPED, Workspace
from robustbench_pix.errors import UserError
from robustbench_pix.runs.manifest import commit
from robustbench_pix.runs.request import RunConfig
from robustbench_pix.runs.store import disk_error
from robustbench_pix.tuning.planner import ATTACK
from robustbench_pix.tuning.search import Found

HEADER = re.compile(r"\s*\[\[\s*tuned\s*\]\]\s*(#.*)?")
KEYS = ("task", "images", "size", "network", "network_parameters")
"""What an entry holds for; a new one takes the place of another with the same."""


def write_entry(found: Found, config: RunConfig) -> Path:
    """Write the chosen point of a search into ``models/`` of the workspace, and return the file.

    A shipped recipe is copied there first.

    Raises:
        UserError: the file cannot be written, or states its entries in a form that cannot be extended.
    """
    entry = entry_of(found, config)
    path = config.workspace.root / FOLDERS["recipe"] / f"{found.recipe.name}.toml"
    here = path if path.is_file() else SHIPPED / FOLDERS["recipe"] / path.name
    text = here.read_bytes().decode("utf-8-sig")
    written = with_entry(text, entry, path)
    half = path.with_name(f".{path.name}.{uuid.uuid4().hex[:8]}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        half.write_bytes(written.encode())
        half.replace(path)
    except OSError as error:
        raise disk_error(path.parent, error) from error
    finally:
        half.unlink(missing_ok=True)
    Workspace(config.workspace.root).recipe(found.recipe.name)
    return path


def entry_of(found: Found, config: RunConfig) -> dict[str, Any]:
    """Return the entry of the chosen point: what it holds for, the parameters, and where they come from."""
    assert found.chosen is not None
    (combination,) = config.combinations
    task = config.task_at_size(combination.task)
    return {
        "task": combination.task,
        "images": combination.regularization_data,
        "size": config.size,
        "network": task.network,
        "network_parameters": task.network_parameters,
        **found.chosen.point,
        "source": _source(found, config),
    }


def with_entry(text: str, entry: Mapping[str, Any], path: Path) -> str:
    """Return the text of a recipe's file with an entry in place of the one that holds for the same, or at the end.

    Raises:
        UserError: the file does not state entries as ``[[tuned]]``; ``path`` is named.
    """
    fields = tomllib.loads(text)
    stated = fields.get("tuned", [])
    same = [place for place, other in enumerate(stated) if _holds_for(other) == _holds_for(entry)]
    expected = [entry if place in same[-1:] else other for place, other in enumerate(stated)]
    expected += [] if same else [entry]
    newline = "\r\n" if "\r\n" in text else "\n"
    lines = text.splitlines()
    new = ["[[tuned]]", *(f"{name} = {_toml(value)}" for name, value in entry.items())]
    headers = [place for place, line in enumerate(lines) if HEADER.fullmatch(line)]
    if same and len(headers) == len(stated):
        start = headers[same[-1]]
        lines[start : _end(lines, start)] = new
    else:
        lines += ["", *new]
    written = newline.join(lines) + newline
    try:
        unharmed = tomllib.loads(written) == {**fields, "tuned": expected}
    except tomllib.TOMLDecodeError:
        unharmed = False
    if not unharmed:
        shown = newline.join(new)
        raise UserError(
            f"The entry cannot be written into {path}, whose entries are not stated as [[tuned]]; add it there by "
            f"hand: {'; '.join(shown.split(newline)[1:])}."
        )
    return written


def _end(lines: list[str], start: int) -> int:
    """Return where the lines of an entry end: before the next table, and the comments above that."""
    following = range(start + 1, len(lines))
    end = next((place for place in following if lines[place].lstrip().startswith("[")), len(lines))
    while not lines[end - 1].strip() or lines[end - 1].lstrip().startswith("#"):
        end -= 1
    return end


def _holds_for(entry: Mapping[str, Any]) -> tuple[Any, ...]:
    defaults = {"images": "*", "size": "full"}
    return tuple(entry.get(name, defaults.get(name)) for name in KEYS)


def _source(found: Found, config: RunConfig) -> str:
    ranges = ", ".join(f"{name} in {values}" for name, values in found.search.items())
    how = found.config
    searched = f"{how.trials} points of optuna" if how.trials is not None else f"{len(found.outcomes)} points"
    sigmas = f"{found.sigmas[0]:g} to {found.sigmas[-1]:g}"
    seeds = ", ".join(map(str, config.seeds))
    state = commit()
    return (
        f"rbp tune: {searched}, {ranges}; largest mean accuracy under {ATTACK} ({len(found.sigmas)} sizes, {sigmas}) "
        f"of those that keep {how.keep} of the clean accuracy of unregularized, on validation images of seeds {seeds}; "
        f"robustbench_pix {__version__}{f', commit {state}' if state else ''}"
    )


def _toml(value: Any) -> str:
    """Return a value as TOML.

    >>> _toml({"width": 16, "names": ["a", 1e-05], "flag": True})
    '{ width = 16, names = ["a", 1e-05], flag = true }'
    """
    if isinstance(value, Mapping):
        return (
            f"{{ {', '.join(f'{_key(name)} = {_toml(inner)}' for name, inner in value.items())} }}" if value else "{}"
        )
    if isinstance(value, (list, tuple)):
        return f"[{', '.join(map(_toml, value))}]"
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False)
    return str(value).lower() if isinstance(value, bool) else repr(value)


def _key(name: str) -> str:
    return name if re.fullmatch(r"[A-Za-z0-9_-]+", name) else json.dumps(name, ensure_ascii=False)

"""The points of a search: every combination of its values, or a fixed choice of as many as the budget allows."""

import math
import tomllib
from collections.abc import Iterable, Mapping
from typing import Any

from robustbench_pix.errors import UserError
from robustbench_pix.identity import canonical_json
from robustbench_pix.randomness import stream

BUDGET = 24
"""Points of every recipe at most: the paper's grid has 12, ours of ``thresholded`` 24."""

MOST_COMBINATIONS = 10**9

Search = Mapping[str, list[Any]]
Point = dict[str, Any]


def parse_grid(texts: Iterable[str]) -> dict[str, list[Any]]:
    """Return the search that texts such as ``alpha=0.1,1,10`` state; a value that TOML cannot read is a text.

    Raises:
        UserError: a text has another form, or a parameter is stated twice.

    >>> parse_grid(["alpha=0.1,1", "target=pixel"])
    {'alpha': [0.1, 1], 'target': ['pixel']}
    """
    found: dict[str, list[Any]] = {}
    for text in texts:
        name, _, values = (part.strip() for part in text.partition("="))
        parts = [part.strip() for part in values.split(",")]
        if not name.isidentifier() or not all(parts):
            raise UserError(f"--grid {text!r} must be PARAMETER=VALUE,VALUE,..., such as alpha=0.1,1,10.")
        if name in found:
            raise UserError(f"--grid states {name} twice; put all its values into one.")
        found[name] = [_value(part) for part in parts]
    return found


def grid_points(search: Search, budget: int) -> list[Point]:
    """Return the combinations of a search in their order, the last parameter fastest.

    Of more than ``budget`` combinations a choice is taken that depends on the search and the budget alone.

    Raises:
        UserError: there are more than a billion combinations.

    >>> grid_points({"alpha": [1, 2], "threshold": [0.2, 0.4]}, budget=3)[0]
    {'alpha': 1, 'threshold': 0.2}
    """
    total = math.prod(len(values) for values in search.values())
    if total > MOST_COMBINATIONS:
        raise UserError(f"The grid has {total} points; at most {MOST_COMBINATIONS} can be drawn from.")
    numbers = list(range(total)) if total <= budget else _drawn(search, total, budget)
    return [_point(search, number) for number in numbers]


def _drawn(search: Search, total: int, budget: int) -> list[int]:
    key = canonical_json([list(search), list(search.values())])
    chosen = stream("tuning-points", key, budget).choice(total, budget, replace=False, shuffle=False)
    return sorted(int(number) for number in chosen)


def _point(search: Search, number: int) -> Point:
    point = {}
    for name, values in reversed(list(search.items())):
        number, place = divmod(number, len(values))
        point[name] = values[place]
    return {name: point[name] for name in search}


def _value(text: str) -> Any:
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text

"""Strengths of an attack: an ascending list from 0, or ``{ to = 0.5, count = 10 }`` for equal steps from 0."""

import math
from itertools import pairwise
from typing import Annotated, Any

from pydantic import BeforeValidator


def parse_strengths(value: Any) -> tuple[float, ...]:
    """Return the strengths that a catalogue file states; rounded to 10 decimals, so that tables show what was used.

    Raises:
        ValueError: the list is empty, not ascending or does not start at 0 (the clean accuracy).

    >>> parse_strengths({"to": 0.5, "count": 3})
    (0.0, 0.25, 0.5)
    """
    if isinstance(value, dict):
        value = _equal_steps(value)
    if not isinstance(value, (list, tuple)) or not all(map(_is_number, value)):
        raise ValueError("must be a list of finite numbers or { to = NUMBER, count = NUMBER }")
    if not value:
        raise ValueError("is empty; give at least 0 and one strength above it")
    strengths = tuple(round(float(x), 10) for x in value)
    if strengths[0] != 0:
        raise ValueError("must start at 0, which is the clean accuracy")
    if len(strengths) < 2:
        raise ValueError("holds only 0; give at least one strength above it")
    if any(low >= high for low, high in pairwise(strengths)):
        raise ValueError("must ascend, each strength larger than the one before")
    return strengths


def _equal_steps(value: dict[str, Any]) -> list[float]:
    to, count = value.get("to", 0.0), value.get("count", 0)
    if set(value) != {"to", "count"} or not _is_number(to) or not isinstance(count, int):
        raise ValueError("as a table takes exactly two fields, to = NUMBER and count = WHOLE NUMBER")
    if to <= 0 or count < 2:
        raise ValueError("needs to > 0 and count >= 2")
    return [to * step / (count - 1) for step in range(count)]


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)


Strengths = Annotated[tuple[float, ...], BeforeValidator(parse_strengths)]

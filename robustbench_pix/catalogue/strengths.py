"""Strengths of an attack: an ascending list from 0, or equal steps ``{ from = 0.2, to = 0.8, count = 10 }`` after 0."""

import math
import re
from itertools import pairwise
from typing import Annotated, Any, NamedTuple

from pydantic import PlainSerializer, PlainValidator

from robustbench_pix.catalogue.findings import FindingsError

MOST_STRENGTHS = 1000
"""Of an attack on a task; each is attacked."""

LARGEST_RADIUS = {"linf": 1.0, "half-width": 1.0}
"""By the kind of strength: an image in [0, 1] becomes any other within this radius."""

_FRACTION = re.compile(r"\s*(\d{1,9})\s*/\s*(\d{1,9})\s*")
_FORMS = "must be a list of finite numbers or { from = NUMBER, to = NUMBER, count = WHOLE NUMBER }, from being optional"


class Strengths(NamedTuple):
    """The strengths of an attack on a task.

    Attributes:
        values: ascending from 0, which is the clean accuracy.
        range_from: one of them; the area under the accuracy counts from it.
    """

    values: tuple[float, ...]
    range_from: float = 0.0


def parse_strengths(value: Any) -> Strengths:
    """Return the strengths that a catalogue file states; rounded to 10 decimals, so that tables show what was used.

    A number may be written as a fraction of whole numbers, ``"8/255"``.

    Raises:
        ValueError: the list is empty, too long, not ascending or does not start at 0 (the clean accuracy); the table
            has other fields, or its numbers make no range.

    >>> parse_strengths({"to": 0.5, "count": 3})
    Strengths(values=(0.0, 0.25, 0.5), range_from=0.0)
    >>> parse_strengths({"from": "1/5", "to": 0.6, "count": 3})
    Strengths(values=(0.0, 0.2, 0.4, 0.6), range_from=0.2)
    """
    if isinstance(value, Strengths):
        return value
    if isinstance(value, dict):
        return _equal_steps(value)
    if not isinstance(value, (list, tuple)):
        raise ValueError(_FORMS)
    if not value:
        raise ValueError("is empty; give at least 0 and one strength above it")
    if len(value) > MOST_STRENGTHS:
        raise ValueError(f"holds {len(value)} strengths; {MOST_STRENGTHS} are the most")
    strengths = tuple(round(_number(x), 10) for x in value)
    if strengths[0] != 0:
        raise ValueError("must start at 0, which is the clean accuracy")
    if len(strengths) < 2:
        raise ValueError("holds only 0; give at least one strength above it")
    if any(low >= high for low, high in pairwise(strengths)):
        raise ValueError("must ascend, each strength larger than the one before")
    return Strengths(strengths)


def check_radii(strengths: Strengths, kind: str, place: str) -> None:
    """Check that no radius is larger than the images; ``kind`` is what a strength means, ``place`` where it is stated.

    Raises:
        FindingsError: the largest is beyond ``LARGEST_RADIUS``.
    """
    if strengths.values[-1] > LARGEST_RADIUS.get(kind, math.inf):
        raise FindingsError(
            f"{place}: reaches {strengths.values[-1]:g}, but pixels lie in [0, 1], where 1 in {kind} covers every "
            'image; a radius of 8 of 255 gray levels is written "8/255"'
        )


def _equal_steps(value: dict[str, Any]) -> Strengths:
    """Return 0 and ``count`` equal steps over the range; without ``from`` 0 is the first of them."""
    count = value.get("count")
    if set(value) - {"from"} != {"to", "count"} or not isinstance(count, int) or isinstance(count, bool):
        raise ValueError("as a table takes to = NUMBER, count = WHOLE NUMBER and, where not 0, from = NUMBER")
    if not 2 <= count <= MOST_STRENGTHS:
        raise ValueError(f"needs a count from 2 to {MOST_STRENGTHS}")
    start, to = _number(value.get("from", 0.0)), _number(value["to"])
    if not 0 <= start < to:
        raise ValueError("needs to > 0" if start == 0 else "needs 0 <= from < to")
    steps = [round(start + (to - start) * step / (count - 1), 10) for step in range(count)]
    if any(low >= high for low, high in pairwise(steps)):
        raise ValueError("states steps so small that strengths are equal to 10 decimals")
    return Strengths(tuple(steps) if start == 0 else (0.0, *steps), steps[0])


def _number(value: Any) -> float:
    fraction = _FRACTION.fullmatch(value) if isinstance(value, str) else None
    if fraction and int(fraction[2]):
        return int(fraction[1]) / int(fraction[2])
    if isinstance(value, str):
        raise ValueError(f'{_FORMS}; a text is read as a fraction only, as in "8/255"')
    try:
        number = float(value) if isinstance(value, (int, float)) and not isinstance(value, bool) else math.nan
    except OverflowError:
        number = math.inf
    if not math.isfinite(number):
        raise ValueError(_FORMS)
    return number


StatedStrengths = Annotated[Strengths, PlainValidator(parse_strengths), PlainSerializer(Strengths._asdict)]
"""As a field of a catalogue file."""

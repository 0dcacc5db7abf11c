"""What an entry may say about an attack of ours; what is impossible is refused in half a sentence."""

import math


def whole(name: str, value: object, *, at_least: int) -> int:
    """Return a parameter that must be a whole number.

    >>> whole("steps", 50, at_least=1)
    50

    Raises:
        ValueError: it is none, or too small.
    """
    if isinstance(value, bool) or not isinstance(value, int) or value < at_least:
        raise ValueError(f"{name} must be a whole number of at least {at_least} (got {value!r})")
    return value


def positive(name: str, value: object, *, up_to: float = math.inf) -> float:
    """Return a parameter that must be a positive number.

    >>> positive("gamma", 1)
    1.0

    Raises:
        ValueError: it is none, not finite, or too large.
    """
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 < value <= up_to or math.isinf(value):
        limit = "" if math.isinf(up_to) else f" of at most {up_to:g}"
        raise ValueError(f"{name} must be a positive number{limit} (got {value!r})")
    return float(value)

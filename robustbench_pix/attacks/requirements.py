"""The requirements of an attack on its catalogue entry: access, kind of strength and parameters."""

import math
from typing import NamedTuple

from robustbench_pix.errors import UserError

ACCESSES = ("none", "decisions", "scores", "gradients")
"""In increasing order; ``transfer`` shows the gradients of a source model."""

MEASURED = ("l2", "linf")
"""Strengths of a search for the smallest perturbation: the distances that the harness measures."""


class Needs(NamedTuple):
    """The access that an attack needs, the norm that it bounds or minimizes, and the strengths that an entry may state.

    ``norm`` is l0, l1, l2, linf, ``any`` if the entry chooses it, or ``none``.
    """

    access: str
    norm: str
    strengths: tuple[str, ...]

    def lacks(self, access: str) -> bool:
        """Return whether an access shows less than the attack needs."""
        shown = "gradients" if access == "transfer" else access
        return ACCESSES.index(shown) < ACCESSES.index(self.access)


def bounds(access: str, *norms: str) -> Needs:
    """Return the needs of an attack whose perturbation stays within a strength."""
    return Needs(access, norms[0] if len(norms) == 1 else "any", norms)


def minimizes(access: str, norm: str) -> Needs:
    """Return the needs of a search for the smallest perturbation."""
    return Needs(access, norm, (norm,) if norm in MEASURED else MEASURED)


def fits(reference: str, needs: Needs, access: str, strength: str) -> None:
    """Check an entry's access and strength against the needs of its attack.

    Raises:
        UserError: the access shows too little, or the attack does not bound or minimize this strength.
    """
    if needs.lacks(access):
        raise UserError(f'{reference} needs access = "{needs.access}" or more; "{access}" shows less.')
    if strength not in needs.strengths:
        what = {"none": "no norm", "any": " or ".join(needs.strengths)}.get(needs.norm, needs.norm)
        known = " or ".join(f'"{name}"' for name in needs.strengths)
        raise UserError(f'{reference} is defined for {what}; set strength = {known} (got "{strength}").')


def whole(name: str, value: object, *, at_least: int) -> int:
    """Return a parameter, which must be a whole number.

    >>> whole("steps", 50, at_least=1)
    50

    Raises:
        ValueError: it is not a whole number, or too small.
    """
    if isinstance(value, bool) or not isinstance(value, int) or value < at_least:
        raise ValueError(f"{name} must be a whole number of at least {at_least} (got {value!r})")
    return value


def positive(name: str, value: object, *, up_to: float = math.inf) -> float:
    """Return a parameter, which must be a positive number.

    >>> positive("gamma", 1)
    1.0

    Raises:
        ValueError: it is not a number, not positive, not finite, or too large.
    """
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 < value <= up_to or math.isinf(value):
        limit = "" if math.isinf(up_to) else f" of at most {up_to:g}"
        raise ValueError(f"{name} must be a positive number{limit} (got {value!r})")
    return float(value)

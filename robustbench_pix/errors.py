"""Errors that a user can mend: one sentence that says what is wrong and how to mend it."""

from collections.abc import Iterable
from difflib import get_close_matches

import click

MOST_NAMES = 60
"""In one sentence; a module of a library may have a thousand."""


class UserError(click.ClickException):
    """Something the user can mend. The command line prints the sentence without a traceback and exits with 1."""

    def __str__(self) -> str:
        return self.message

    def __reduce__(self) -> tuple[type["UserError"], tuple[str]]:
        return type(self), (self.message,)


class JobFailedError(UserError):
    """One training or one attack could not be carried out; its row says so and the others go on."""


def nearest_name(name: str, known: Iterable[str]) -> str | None:
    """Return the known name that a misspelt one resembles most, or None where it resembles none."""
    matches = get_close_matches(name, list(known), n=1, cutoff=0.5)
    return matches[0] if matches else None


def nearest(name: str, known: Iterable[str]) -> str:
    """Return a hint such as `` Did you mean thresholded?``, or an empty string.

    >>> nearest("thresold", ["pixel", "thresholded"])
    ' Did you mean thresholded?'
    """
    match = nearest_name(name, known)
    return f" Did you mean {match}?" if match else ""


def unknown(what: str, name: str, known: Iterable[str], *, list_with: str | None = None) -> UserError:
    """Return the error for a name that does not exist: what was asked, the nearest name, and all names or their list.

    >>> print(unknown("size", "smal", ["full", "small"]))
    There is no size named 'smal'. Did you mean small? (There are: full, small.)
    """
    known = sorted(known)
    names = ", ".join(known) or "none"
    where = f"There are: {names}" if len(known) <= MOST_NAMES else f"There are {len(known)}"
    where = f"{list_with} lists all {len(known)}" if list_with else where
    return UserError(f"There is no {what} named {name!r}.{nearest(name, known)} ({where}.)")

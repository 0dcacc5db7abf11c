"""Errors that a user can mend: one sentence that says what is wrong and how to mend it."""

from collections.abc import Iterable
from difflib import get_close_matches

import click


class UserError(click.ClickException):
    """Something the user can mend. The command line prints the sentence without a traceback and exits with 1."""

    def __str__(self) -> str:
        return self.message

    def __reduce__(self) -> tuple[type["UserError"], tuple[str]]:
        return type(self), (self.message,)


class JobFailedError(UserError):
    """One training or one attack could not be carried out; its row says so and the others go on."""


def nearest(name: str, known: Iterable[str]) -> str:
    """Return a hint such as `` Did you mean thresholded?``, or an empty string.

    >>> nearest("thresold", ["pixel", "thresholded"])
    ' Did you mean thresholded?'
    """
    matches = get_close_matches(name, list(known), n=1, cutoff=0.5)
    return f" Did you mean {matches[0]}?" if matches else ""


def unknown(what: str, name: str, known: Iterable[str], *, list_with: str) -> UserError:
    """Return the error for a name that does not exist: what was asked, the nearest name, where the list is."""
    known = sorted(known)
    return UserError(f"There is no {what} named {name!r}.{nearest(name, known)} ({list_with} lists all {len(known)}.)")

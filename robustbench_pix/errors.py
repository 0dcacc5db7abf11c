"""Errors that a user can mend: one sentence that says what is wrong and how to mend it."""

from collections.abc import Iterable
from difflib import get_close_matches
from reprlib import Repr
from typing import Any

MOST_NAMES = 60
"""In one sentence; a module of a library may have a thousand."""

MOST_CHARACTERS = 80
"""Of a value in a sentence."""

LONGEST_SENTENCE = 2000
"""Of characters; only lists of names come near it."""


class _Values(Repr):
    """Values as Python writes them, the middle of long ones left out, whatever their size."""

    def __init__(self) -> None:
        super().__init__()
        self.maxstring = self.maxother = MOST_CHARACTERS
        self.maxlevel = 3

    def repr_int(self, value: int, level: int) -> str:
        """Return a whole number; one of more digits than Python writes by its size."""
        return repr(value) if value.bit_length() <= 4 * MOST_CHARACTERS else f"a number of {value.bit_length()} bits"


_values = _Values()


def short(value: Any) -> str:
    """Return a value for a sentence: as Python writes it, in at most ``MOST_CHARACTERS`` characters.

    >>> short("a" * 1000) == repr("a" * 37 + "..." + "a" * 38), short(10**5000), short([3, "x"])
    (True, 'a number of 16610 bits', "[3, 'x']")
    """
    return shortened(_values.repr(value), MOST_CHARACTERS)


def shortened(text: str, most: int) -> str:
    """Return a text of at most ``most`` characters, its middle left out where it is longer.

    >>> shortened("a long sentence", 9)
    'a l...nce'
    """
    half = (most - 3) // 2
    return text if len(text) <= most else f"{text[:half]}...{text[half - most + 3 :]}"


def one_line(text: object, most: int = LONGEST_SENTENCE) -> str:
    """Return a text in one line and of printable characters alone; others, such as escapes, as Python writes them.

    >>> one_line("a\\n  b\\x1b[31m")
    'a b\\\\x1b[31m'
    """
    line = " ".join(str(text).split())
    if not line.isprintable():
        line = "".join(sign if sign.isprintable() else ascii(sign)[1:-1] for sign in line)
    return shortened(line, most)


class RobustBenchPixError(Exception):
    """Base class of this package's errors: one line, whatever the text; the command line prints it and exits with 1."""

    def __init__(self, message: str) -> None:
        super().__init__(one_line(message))


class UserError(RobustBenchPixError):
    """Something the user can mend; the sentence says how."""


class JobFailedError(UserError):
    """One training or one attack could not be carried out; its row says so and the others go on."""


def nearest_name(name: str, known: Iterable[str]) -> str | None:
    """Return the known name that a misspelt one resembles most, or None where it resembles none."""
    if len(name) > MOST_CHARACTERS:  # The time it takes grows with its square.
        return None
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
    """Return the error for an unknown name: with the nearest name, and all names or the command that lists them.

    >>> print(unknown("size", "reducd", ["full", "reduced"]))
    There is no size named 'reducd'. Did you mean reduced? (There are: full, reduced.)
    """
    known = sorted(known)
    names = ", ".join(known) or "none"
    where = f"There are: {names}" if len(known) <= MOST_NAMES else f"There are {len(known)}"
    where = f"{list_with} lists all {len(known)}" if list_with else where
    return UserError(f"There is no {what} named {short(name)}.{nearest(name, known)} ({where}.)")

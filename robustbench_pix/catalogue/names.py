"""Which names catalogue files may have: they become cells of tables, names of folders and words on a terminal."""

from robustbench_pix.errors import UserError, short

LONGEST = 100
"""Characters of a name; names of files have at most 255 bytes."""

NOT_FIRST = ".=+-@"
"""A leading dot hides a file, a leading hyphen is an option, and the others begin a formula in a spreadsheet."""

NOWHERE = "/\\,:~"
"""Separators: of paths, of attacks in a list, of task and images, of the parts of a scratch folder's name."""

RESERVED = {
    "attack": {"gradient-check", "worst-case", "smallest-distance", "score", "mean", "all"},
    "recipe": {"source model", "mean", "all"},
    "task": {"default", "all"},
    "suite": {"all"},
}
"""Names with another meaning in plans and tables."""


def check_name(what: str, name: str, *, where: str) -> None:
    """Refuse a name that is reserved, or cannot be used in tables, paths and plans.

    Args:
        what: recipe, task, attack or suite.
        name: the file's name without its ending.
        where: the folder of the file, for the sentence.

    Raises:
        UserError: the name is reserved, too long, or holds characters that it must not.
    """
    if name in RESERVED[what]:
        raise UserError(f"{where}: {name} is reserved in the tables; give the {what} another name.")
    if wrong := wrong_name(name):
        raise UserError(f"{where}: the name {short(ascii(name)[1:-1])} of a {what} {wrong}; rename its file.")


def wrong_name(name: str) -> str:
    """Return the rule that a name breaks, "" if it can be used in tables and paths.

    >>> wrong_name("thresholded"), wrong_name("../x")
    ('', 'must not begin with any of . = + - @')
    """
    if not name.isprintable() or not name or name != name.strip():
        return "must be made of printable characters, with no space at its ends"
    if name[0] in NOT_FIRST:
        return f"must not begin with any of {' '.join(NOT_FIRST)}"
    if set(name) & set(NOWHERE):
        return f"must not hold any of {' '.join(NOWHERE)}"
    return f"must have at most {LONGEST} characters" if len(name) > LONGEST else ""

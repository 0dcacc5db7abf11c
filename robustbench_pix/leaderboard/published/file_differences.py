"""How the files of two published folders differ, whatever the differences between their boards explain."""

from collections import Counter
from pathlib import Path
from typing import Any

from robustbench_pix.results.frames import KEY

DRAWN = {"README.md", "schema.json", "index.html", "leaderboard.svg"}
"""What follows from the tables and from the version of this package."""

CLOCK = {"costs.csv", "recipe-costs.csv"}
"""Times, which never repeat."""


def file_differences(first: Path, second: Path) -> list[dict[str, Any]]:
    """Return one row for each file that only one folder has, or that holds something else.

    The fields are those of ``differences``; ``column`` is the file, and of a table ``a`` and ``b`` count the lines that
    the other one lacks. What is drawn from the tables, and times, are only looked for.
    """
    names = [{file.name for file in folder.iterdir() if not file.name.startswith(".")} for folder in (first, second)]
    found = []
    for name in sorted(names[0] | names[1]):
        if name not in names[0] & names[1]:
            found.append(_change(f"only in {'A' if name in names[0] else 'B'}", name))
        elif name not in DRAWN | CLOCK:
            before, now = (first / name).read_bytes(), (second / name).read_bytes()
            if before != now:
                found.append(_change("file", name, *_lines(before, now) if name.endswith(".csv") else ()))
    return found


def _lines(first: bytes, second: bytes) -> tuple[str, str]:
    """Return how many lines each of two texts has that the other lacks."""
    lines = Counter(first.splitlines()), Counter(second.splitlines())
    counts = (lines[0] - lines[1]).total(), (lines[1] - lines[0]).total()
    return f"{counts[0]:,} line{'s'[: counts[0] != 1]}", f"{counts[1]:,} line{'s'[: counts[1] != 1]}"


def _change(what: str, file: str, a: str = "", b: str = "") -> dict[str, Any]:
    nothing = {"difference": None, "covered": ""}
    return {**dict.fromkeys(KEY, ""), "what": what, "column": file, "a": a, "b": b, **nothing}

"""Standard output: rows as a table, CSV, JSON or Markdown, on streams that are closed or lack our glyphs, too."""

import codecs
import csv
import json
import os
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from io import TextIOWrapper
from itertools import groupby
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text

Rows = Sequence[Mapping[str, Any]]

WIDE = 120
GAP = 2
NOT_SET = "not set"


def write_rows(rows: Rows, style: str, *, narrow: Sequence[str] = ()) -> None:
    """Write rows that share their keys; lists and tables are joined with commas outside JSON.

    ``narrow`` names the columns that a table of less than ``WIDE`` characters is left with; only tables leave any out.
    """
    if style == "json":
        print(json.dumps([dict(row) for row in rows], indent=2, default=str, ensure_ascii=not _is_utf8()))
        return
    if not rows:
        return
    columns = list(rows[0])
    if style == "table":
        console = Console()
        shown = list(narrow) if narrow and console.width < WIDE else columns
        texts = [[_text(row[column], digits=4) for column in shown] for row in rows]
        console.print(_table(shown, texts, console.width))
        return
    texts = [[_text(row[column]) for column in columns] for row in rows]
    if style == "csv":
        csv.writer(sys.stdout, lineterminator="\n").writerows([columns, *texts])
    else:
        print(markdown(columns, texts))


def write_estimate(rows: Rows, style: str) -> None:
    """Write what jobs would cost, one row a kind; a narrow table is left without the numbers behind the words."""
    write_rows(rows, style, narrow=("jobs", "count", "time", "disk", "note"))


def write_fields(rows: Rows, style: str) -> None:
    """Write rows of ``kind``, ``field`` and ``value``; a table has a heading for each kind, with its field ``name``."""
    if style != "table":
        write_rows(rows, style)
        return
    console = Console()
    for number, (kind, group) in enumerate(groupby(rows, lambda row: row["kind"])):
        fields = {row["field"]: row["value"] for row in group}
        console.print("\n" * (number > 0) + f"[bold]{kind}[/bold] ", Text(str(fields.pop("name"))), sep="")
        texts = [[f"  {field}", _text(value, digits=4) or NOT_SET] for field, value in fields.items()]
        console.print(_table(["", ""], texts, console.width, header=False))


def markdown(columns: Sequence[str], texts: Sequence[Sequence[str]]) -> str:
    """Return a Markdown table.

    >>> print(markdown(["a"], [["1|2"]]))
    | a |
    |---|
    | 1\\|2 |
    """
    lines = [columns, *([text.replace("|", "\\|") for text in row] for row in texts)]
    rows = [f"| {' | '.join(line)} |" for line in lines]
    return "\n".join([rows[0], f"|{'---|' * len(columns)}", *rows[1:]])


def _table(columns: Sequence[str], texts: Sequence[Sequence[str]], width: int, *, header: bool = True) -> Table:
    # Between two columns rich puts the padding, and beside a box a character more.
    table = Table(box=SIMPLE_HEAD if header else None, show_header=header, padding=(0, GAP - header, 0, 0))
    table.show_edge = table.pad_edge = False
    by_column = [[row[place] for row in (columns, *texts)] for place in range(len(columns))]
    for column, wide in zip(columns, column_widths(by_column, width - GAP * (len(columns) - 1)), strict=True):
        table.add_column(column, width=wide, overflow="fold")
    for row in texts:
        table.add_row(*(Text(text, style="dim" if text == NOT_SET else "") for text in row))
    return table


def column_widths(columns: Sequence[Sequence[str]], room: int) -> list[int]:
    """Return the width of each column so that all fit into a room.

    The widest give way first, to the length of their longest word while that is enough. The first column holds names,
    which are never broken.

    >>> column_widths([["a name"], ["a sentence of words"], ["short"]], 25)
    [6, 14, 5]
    """
    widths = [max(map(len, texts)) for texts in columns]
    words = [max((len(word) for text in texts for word in text.split()), default=0) for texts in columns]
    for least in ([widths[0], *words[1:]], [widths[0], *(1 for _ in words[1:])]):
        while sum(widths) > room:
            spare = [place for place, wide in enumerate(widths) if wide > least[place]]
            if not spare:
                break
            widths[max(spare, key=lambda place: widths[place])] -= 1
    return widths


def _is_utf8() -> bool:
    return (sys.stdout.encoding or "").lower().replace("-", "") == "utf8"


def _text(value: Any, *, digits: int | None = None) -> str:
    """Return a value as a catalogue file would state it, without quotes; floats with ``digits`` digits, if stated."""
    if value is None:
        return ""
    if isinstance(value, Mapping):
        return ", ".join(f"{key} = {_text(inner, digits=digits)}" for key, inner in value.items())
    if isinstance(value, (list, tuple)):
        return ", ".join(_text(inner, digits=digits) for inner in value)
    if isinstance(value, bool):
        return str(value).lower()
    return f"{value:.{digits}g}" if digits and isinstance(value, float) else str(value)


ASCII = {**dict(zip("▁▂▃▄▅▆▇█", "_.:-=+*#", strict=True)), "–": "-", "−": "-", "±": "~", "·": ";", "…": "."}
"""Our glyphs -> substitutes of the same width for encodings that lack them; bars from low to high."""

BRAILLE = range(0x2800, 0x2900)
UPPER_DOTS, LOWER_DOTS = 0b00011011, 0b11100100


def prepare_streams() -> None:
    """Open what is closed, on nothing, and let our glyphs be replaced where an encoding lacks them."""
    while (descriptor := os.open(os.devnull, os.O_RDWR)) <= 2:
        os.set_inheritable(descriptor, True)
    os.close(descriptor)
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, mode, encoding="utf-8"))  # noqa: PTH123, SIM115
    codecs.register_error("robustbench_pix", _replaced)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="robustbench_pix")


def flush_output() -> None:
    """Write what is left; an error such as a full disk is reported once."""
    try:
        sys.stdout.flush()
    except OSError:
        discard_output()
        raise


def discard_output() -> None:
    """Let what cannot be written go nowhere, so that the end of the process does not try again."""
    with suppress(OSError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _replaced(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    return "".join(map(_ascii, error.object[error.start : error.end])), error.end


def _ascii(sign: str) -> str:
    if ord(sign) in BRAILLE:
        dots = ord(sign) - BRAILLE.start
        return ":" if dots & UPPER_DOTS and dots & LOWER_DOTS else "'" if dots & UPPER_DOTS else "." if dots else " "
    return ASCII.get(sign, "?")

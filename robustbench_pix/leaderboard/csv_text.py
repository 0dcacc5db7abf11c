"""Tables as CSV text and back: one format of numbers, and a damaged text is never half read."""

import csv
import io
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pandas as pd

from robustbench_pix.errors import UserError
from robustbench_pix.results.columns import LATER, Column, names
from robustbench_pix.results.frames import typed

MEND = "Restore it, for example with git checkout."


def to_csv_text(frame: pd.DataFrame, columns: tuple[Column, ...]) -> str:
    r"""Return columns of a table as CSV: up to ten significant digits, "\n" line ends, nothing for what is absent.

    >>> to_csv_text(pd.DataFrame({"a": [1 / 3, None]}), (Column("a", "number", ""), Column("b", "text", "")))
    'a,b\n0.3333333333,\n,\n'
    """
    table = typed(frame, columns)
    texts = [[_text(value, column) for value in table[column.name]] for column in columns]
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(names(columns))
    writer.writerows(zip(*texts, strict=True))
    return buffer.getvalue()


def as_published(frame: pd.DataFrame, columns: tuple[Column, ...]) -> pd.DataFrame:
    """Return a table as it comes back from its file: with ten significant digits.

    A leaderboard built from such measurements is the same whether they were just made or read from a file.
    """
    return parsed(lines(to_csv_text(frame, columns)), columns, Path("the table"))


def lines(text: str) -> list[list[str]]:
    """Return the fields of every line; at least one line, the header, perhaps without fields.

    Raises:
        csv.Error: A quotation mark is not closed, or stands in the middle of a field.
    """
    return list(csv.reader(io.StringIO(text, newline=""), strict=True)) or [[]]


def parsed(found: list[list[str]], columns: tuple[Column, ...], file: Path) -> pd.DataFrame:
    """Return the table that lines of fields hold; the first names the columns. Columns ``LATER`` may be absent.

    Raises:
        UserError: Columns are missing or unknown, a row is shorter or longer, or a number is none.
    """
    header, *body = found
    if missing := [column.name for column in columns if column.name not in {*header, *LATER}]:
        raise UserError(f"{file} lacks the columns {', '.join(missing)}. {MEND}")
    if unknown := [name for name in header if name not in names(columns)]:
        raise UserError(f"{file} has unknown columns: {', '.join(unknown)}. A newer robustbench_pix may know them.")
    for row, fields in enumerate(body, start=1):
        if len(fields) != len(header):
            raise UserError(f"{file}, row {row}: {len(fields)} fields where {len(header)} belong. {MEND}")
    values = dict.fromkeys(LATER, ("",) * len(body))
    values |= dict(zip(header, zip(*body, strict=True), strict=True)) if body else dict.fromkeys(header, ())
    return typed(pd.DataFrame({column.name: _series(values[column.name], column, file) for column in columns}), columns)


def _text(value: object, column: Column) -> str:
    if value is pd.NA or value != value:
        return ""
    if column.kind == "number":
        return f"{float(str(value)) + 0.0:.10g}"  # + 0.0: no "-0"
    return " ".join(str(value).split())


def _series(texts: Iterable[str], column: Column, file: Path) -> Any:
    try:
        if column.kind == "integer":
            return pd.Series([int(text) if text else pd.NA for text in texts], dtype="Int64")
        if column.kind == "number":
            return pd.Series([float(text) if text else float("nan") for text in texts], dtype=float)
    except ValueError as error:
        raise UserError(f"{file}, column {column.name}: {error}. {MEND}") from error
    return pd.Series(list(texts), dtype=str)

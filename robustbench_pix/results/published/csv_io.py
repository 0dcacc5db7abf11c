"""Tables as CSV text and back: one format of numbers, and a damaged text is never half read."""

import csv
import io
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
from pyarrow import csv as arrow_csv

from robustbench_pix.errors import UserError
from robustbench_pix.results.columns import Column, names, typed

MEND = "Restore it, for example with git checkout."

ARROW = {"text": pa.string(), "integer": pa.int64(), "number": pa.float64()}


def to_csv_text(frame: pd.DataFrame, columns: tuple[Column, ...]) -> str:
    r"""Return columns of a table as CSV: up to ten significant digits, "\n" line ends, nothing for what is absent.

    >>> to_csv_text(pd.DataFrame({"a": [1 / 3, None]}), (Column("a", "number", ""), Column("b", "text", "")))
    'a,b\n0.3333333333,\n,\n'
    """
    table = typed(frame, columns)
    texts = [_texts(table[column.name], column) for column in columns]
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(names(columns))
    writer.writerows(zip(*texts, strict=True))
    return buffer.getvalue()


def as_published(frame: pd.DataFrame, columns: tuple[Column, ...]) -> pd.DataFrame:
    """Return a table as it comes back from its file: numbers with ten significant digits, single spaces in text.

    A leaderboard built from such measurements is the same whether they were just made or read from a file.
    """
    table = typed(frame, columns)
    return pd.DataFrame({column.name: _rounded(table[column.name], column) for column in columns})


def read(data: bytes, columns: tuple[Column, ...], file: Path) -> pd.DataFrame:
    """Return the table that the bytes of a CSV file hold.

    Raises:
        UserError: The file is no CSV file, or has other columns, rows or numbers than it should.
    """
    quick = quickly_parsed(data, columns)
    return parsed(lines(data, file), columns, file) if quick is None else quick


def lines(data: bytes, file: Path) -> list[list[str]]:
    """Return the fields of every line; at least one line, the header, perhaps without fields.

    Raises:
        UserError: The bytes are no text, or a quotation mark is not closed, or more follows where it is.
    """
    try:
        return list(csv.reader(io.StringIO(data.decode(), newline=""), strict=True)) or [[]]
    except (UnicodeDecodeError, csv.Error) as error:
        raise UserError(f"{file} cannot be read as a table: {error}. {MEND}") from error


def parsed(found: list[list[str]], columns: tuple[Column, ...], file: Path) -> pd.DataFrame:
    """Return the table that lines of fields hold; the first names the columns.

    Raises:
        UserError: Columns are missing or unknown, a row is shorter or longer, or a number is none.
    """
    header, *body = found
    if missing := [column.name for column in columns if column.name not in header]:
        raise UserError(f"{file} lacks the columns {', '.join(missing)}. {MEND}")
    if unknown := [name for name in header if name not in names(columns)]:
        raise UserError(f"{file} has unknown columns: {', '.join(unknown)}. A newer robustbench_pix may know them.")
    for row, fields in enumerate(body, start=1):
        if len(fields) != len(header):
            raise UserError(f"{file}, row {row}: {len(fields)} fields where {len(header)} belong. {MEND}")
    values = dict(zip(header, zip(*body, strict=True), strict=True)) if body else dict.fromkeys(header, ())
    return typed(pd.DataFrame({column.name: _series(values[column.name], column, file) for column in columns}), columns)


def _texts(values: "pd.Series[Any]", column: Column) -> list[str]:
    if column.kind == "number":
        return ["" if value != value else f"{value + 0.0:.10g}" for value in values.tolist()]  # + 0.0: no "-0"
    if column.kind == "integer":
        return ["" if value is pd.NA else str(value) for value in values.tolist()]
    shown = {value: " ".join(value.split()) for value in values.unique()}
    return [shown[value] for value in values.tolist()]


def _rounded(values: "pd.Series[Any]", column: Column) -> Any:
    if column.kind == "integer":
        return values
    texts = _texts(values, column)
    if column.kind == "number":
        return pd.Series([float(text) if text else float("nan") for text in texts], dtype=float)
    return pd.Series(texts, dtype=str)


def _series(texts: Iterable[str], column: Column, file: Path) -> Any:
    try:
        if column.kind == "integer":
            return pd.Series([int(text) if text else pd.NA for text in texts], dtype="Int64")
        if column.kind == "number":
            return pd.Series([float(text) if text else float("nan") for text in texts], dtype=float)
    except ValueError as error:
        raise UserError(f"{file}, column {column.name}: {error}. {MEND}") from error
    return pd.Series(list(texts), dtype=str)


def quickly_parsed(data: bytes, columns: tuple[Column, ...]) -> pd.DataFrame | None:
    """Return the table that the bytes of a CSV file hold, or None where only a strict reader can tell what is meant.

    None is returned for other columns than the declared ones, rows of another length, numbers that are none, bytes that
    are not UTF-8, carriage returns, empty lines, and quotation marks that do not enclose a whole field.
    """
    header = data.partition(b"\n")[0].decode(errors="replace").split(",")
    if sorted(header) != sorted(names(columns)) or b"\r" in data or b"\n\n" in data or not _well_quoted(data):
        return None
    try:
        table = arrow_csv.read_csv(
            pa.BufferReader(data),
            read_options=arrow_csv.ReadOptions(use_threads=False),  # two threads take 1.5 times the processor time
            parse_options=arrow_csv.ParseOptions(ignore_empty_lines=False, newlines_in_values=True),
            convert_options=arrow_csv.ConvertOptions(
                column_types={column.name: ARROW[column.kind] for column in columns}, null_values=[""]
            ),
        )
    except pa.ArrowInvalid:
        return None
    # Integers with gaps would become floats on their way to pandas, and no longer be exact above 2^53.
    whole = {pa.int64(): pd.Int64Dtype()}
    return typed(table.to_pandas(types_mapper=whole.get), columns)


def _well_quoted(data: bytes) -> bool:
    """Return whether every quotation mark opens or closes a field, or is one of two within a quoted field.

    >>> [_well_quoted(text) for text in (b'a,"b, c"\\n', b'"a ""b"" c"', b'"a"b,c', b'a"b",c', b'a,"b')]
    [True, True, False, False, False]
    """
    parts = data.split(b'"')  # those at even places stand outside of quotes, or between two quotes within a field
    outside = parts[::2]
    opened = all(part[-1:] in (b"", b",", b"\n") for part in outside[:-1])
    closed = all(part[:1] in (b"", b",", b"\n") for part in outside[1:])
    return len(parts) % 2 == 1 and opened and closed

"""Well-formed CSV of a large table, read by Arrow; whatever it might take otherwise than the strict reader is left."""

import pandas as pd
import pyarrow as pa
from pyarrow import csv

from robustbench_pix.results.columns import Column, names
from robustbench_pix.results.frames import typed

ARROW = {"text": pa.string(), "integer": pa.int64(), "number": pa.float64()}


def quickly_parsed(data: bytes, columns: tuple[Column, ...]) -> pd.DataFrame | None:
    """Return the table that the bytes of a CSV file hold, or None where only a strict reader can tell what is meant.

    None is returned for other columns than the declared ones, rows of another length, numbers that are none, bytes that
    are not UTF-8, carriage returns, empty lines, and quotation marks that do not enclose a whole field.
    """
    header = data.partition(b"\n")[0].decode(errors="replace").split(",")
    if sorted(header) != sorted(names(columns)) or b"\r" in data or b"\n\n" in data or not _well_quoted(data):
        return None
    try:
        table = csv.read_csv(
            pa.BufferReader(data),
            read_options=csv.ReadOptions(use_threads=False),  # two threads take half as much again of the processor
            parse_options=csv.ParseOptions(ignore_empty_lines=False, newlines_in_values=True),
            convert_options=csv.ConvertOptions(
                column_types={column.name: ARROW[column.kind] for column in columns},
                null_values=[""],
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

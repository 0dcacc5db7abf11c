"""Write rows to standard output as a table, CSV, JSON or Markdown."""

import csv
import json
import sys
from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.table import Table, box

Rows = Sequence[Mapping[str, Any]]


def write_rows(rows: Rows, style: str, *, title: str = "") -> None:
    """Write rows that share their keys; lists are joined with commas outside JSON."""
    if style == "json":
        print(json.dumps([dict(row) for row in rows], indent=2, default=str, ensure_ascii=False))
        return
    texts = [{key: _text(value) for key, value in row.items()} for row in rows]
    columns = list(texts[0]) if texts else []
    if style == "csv":
        writer = csv.DictWriter(sys.stdout, columns, lineterminator="\n")
        writer.writeheader()
        writer.writerows(texts)
    elif style == "markdown":
        print(markdown(columns, texts))
    else:
        table = Table(*columns, title=title or None, box=box.SIMPLE_HEAD, title_justify="left", header_style="bold")
        for row in texts:
            table.add_row(*row.values())
        Console().print(table)


def markdown(columns: Sequence[str], rows: Sequence[Mapping[str, str]]) -> str:
    """Return a Markdown table.

    >>> print(markdown(["a"], [{"a": "1|2"}]))
    | a |
    |---|
    | 1\\|2 |
    """
    lines = [columns, *([row[column].replace("|", "\\|") for column in columns] for row in rows)]
    text = [f"| {' | '.join(line)} |" for line in lines]
    return "\n".join([text[0], f"|{'---|' * len(columns)}", *text[1:]])


def _text(value: Any) -> str:
    if value is None:
        return ""
    return ", ".join(map(str, value)) if isinstance(value, (list, tuple)) else str(value)

"""One forged value in a published folder, and whether it is stated that nothing can confirm such a value."""

import csv
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from numpy.random import Generator

from benchmarks.changes import another, flip_bit
from robustbench_pix.results.published.schema import UNDERIVABLE


def forge(folder: Path, random: Generator) -> tuple[str, str]:
    """Change one value of one file, and return the file's name and the column or field."""
    names = sorted(file.name for file in folder.iterdir() if file.name != "SHA256SUMS")
    # As often in a table or the provenance as in what is drawn from them.
    file = folder / names[random.integers(len(names))]
    if file.suffix == ".csv":
        return file.name, _of_table(file, random)
    if file.name == "provenance.json":
        return file.name, _of_provenance(file, random)
    flip_bit(file, random)
    return file.name, ""


def is_stated(file: str, column: str) -> bool:
    """Return whether ``rbp verify`` states that nothing confirms this column of a file."""
    left = (one for one in UNDERIVABLE if one.until != "outcomes")  # they are published with the folder
    return file == "examples.parquet" or any(
        file in one.file and (not one.columns or column in one.columns) for one in left
    )


def _of_table(file: Path, random: Generator) -> str:
    with file.open(newline="") as opened:
        header, *rows = csv.reader(opened)
    row, column = rows[random.integers(len(rows))], int(random.integers(len(header)))
    row[column] = _another_text(row[column], random)
    with file.open("w", newline="") as opened:
        csv.writer(opened, lineterminator="\n").writerows([header, *rows])
    return header[column]


def _another_text(text: str, random: Generator) -> str:
    for kind in (int, float):
        try:
            value = another(kind(text), random)
        except ValueError:
            continue
        return str(value) if kind is int else f"{value:.10g}"
    return str(another(text, random)) if text else "1"


def _of_provenance(file: Path, random: Generator) -> str:
    content = json.loads(file.read_text())
    leaves = list(_leaves(content, ()))
    holder, key, path = leaves[random.integers(len(leaves))]
    holder[key] = another(holder[key], random)
    file.write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n")
    return next((str(name) for name in path if name in ("libraries", "commit")), str(key))


def _leaves(content: Any, path: tuple[Any, ...]) -> Iterator[tuple[Any, Any, tuple[Any, ...]]]:
    for key, value in content.items() if isinstance(content, dict) else enumerate(content):
        if isinstance(value, (dict, list)) and value:
            yield from _leaves(value, (*path, key))
        else:
            yield content, key, (*path, key)

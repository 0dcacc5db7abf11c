"""Read what is published: a damaged table, a name that no catalogue would take or a control character is refused."""

import json
import re
from pathlib import Path

import pandas as pd

from robustbench_pix.catalogue.workspace import wrong_name
from robustbench_pix.errors import UserError, short
from robustbench_pix.results.columns import (
    COSTS,
    MEASUREMENTS,
    PICTURES,
    QUERIES,
    REQUESTED,
    SAMPLING,
    TRAININGS,
    Column,
    names,
)
from robustbench_pix.results.derived_columns import AGGREGATES, AUCS, COMPARISONS, RECIPE_COSTS, leaderboard_columns
from robustbench_pix.results.provenance import Provenance, empty, wrong_form
from robustbench_pix.results.published.csv_io import MEND, lines, parsed, read

PROVENANCE = "provenance.json"

BESIDE = {
    "aggregates.csv": AGGREGATES,
    "comparisons.csv": COMPARISONS,
    "costs.csv": COSTS,
    "pictures.csv": PICTURES,
    "queries.csv": QUERIES,
    "recipe-costs.csv": RECIPE_COSTS,
    "aucs.csv": AUCS,
    "sampling.csv": SAMPLING,
    "trainings.csv": TRAININGS,
}
"""The tables of a published folder but for the leaderboard and what it is made from."""

OPTIONAL = ("sampling.csv", "queries.csv", "aggregates.csv", "pictures.csv", "trainings.csv")
"""Those that are published only where they have rows."""

TABLES = {file.removesuffix(".csv").replace("-", "_"): file for file in BESIDE if file != "sampling.csv"}
"""Their files by the names of a board's attributes, but for what a board always has."""

BASE = ("measurements.csv", "requested.csv", "leaderboard.csv")
"""What no published folder lacks."""

NAMED = ("suite", "task", "regularization_data", "recipe", "attack")
"""Columns of names, which become words on a terminal, cells of a spreadsheet and parts of paths."""

CONTROLS = re.compile(rb"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]|\xc2[\x80-\x9f]")
"""In UTF-8; tab and the ends of lines are none."""

ESCAPED = re.compile(r"\\\\|\\u00(?:0[0-8bcef]|1[0-9a-f]|7f|[89][0-9a-f])|\\[bf]")
"""Of a text of JSON in ASCII: an escaped backslash, or one of the same controls."""


def is_published(folder: Path) -> bool:
    """Return whether a board is published in a folder.

    Raises:
        UserError: some of its files are there and others are not.
    """
    absent = [name for name in BASE if not (folder / name).exists()]
    if absent and len(absent) < len(BASE):
        raise UserError(
            f"{folder} lacks {' and '.join(absent)}, as after an interrupted first rbp publish; delete "
            f"{' and '.join(name for name in BASE if name not in absent)} and publish again, or restore what is "
            "missing, for example with git checkout."
        )
    return not absent


def read_published(folder: Path) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return the published measurements and requested rows.

    Raises:
        UserError: Nothing is published there, or a file is no CSV file or has other columns than it should.
    """
    if not is_published(folder):
        raise UserError(f"Nothing is published in {folder}: it holds no measurements.csv.")
    files = folder / "measurements.csv", folder / "requested.csv"
    tables = read_table(files[0], MEASUREMENTS), read_table(files[1], REQUESTED)
    for table, file in zip(tables, files, strict=True):
        _require_names(table, file)
    return tables


def read_leaderboard(folder: Path) -> pd.DataFrame:
    """Return the published leaderboard; errors as of ``read_table``."""
    file = folder / "leaderboard.csv"
    found = lines(_bytes(file), file)
    table = parsed(found, leaderboard_columns(found[0]), file)
    _require_names(table, file)
    return table


def _require_names(table: pd.DataFrame, file: Path) -> None:
    """Refuse names that would lead out of a folder, begin a formula, or write to a terminal what they should not."""
    for column in NAMED:
        for name in table[column].unique() if column in table else ():
            if wrong := wrong_name(name):
                raise UserError(f"{file}: {short(ascii(name)[1:-1])} in column {column} {wrong}. {MEND}")


def read_beside(folder: Path, name: str) -> pd.DataFrame:
    """Return a table of ``BESIDE``; no rows of an ``OPTIONAL`` one that is absent. Errors as of ``read_table``."""
    file, columns = folder / name, BESIDE[name]
    if name in OPTIONAL and not file.exists():
        return parsed([names(columns)], columns, file)
    return read_table(file, columns)


def read_table(file: Path, columns: tuple[Column, ...]) -> pd.DataFrame:
    """Return one published table.

    Raises:
        UserError: The file is no CSV file, or has other columns than it should.
    """
    return read(_bytes(file), columns, file)


def read_provenance(folder: Path) -> Provenance | None:
    """Return the published provenance, or None where there is none.

    Raises:
        UserError: The file is no JSON file, or lacks a section.
    """
    file = folder / PROVENANCE
    if not file.exists():
        return None
    try:
        found = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise UserError(f"{file} cannot be read as provenance: {error}. {MEND}") from error
    if any(part != r"\\" for part in ESCAPED.findall(json.dumps(found))):
        raise UserError(f"{file} holds control characters, which a terminal would obey. {MEND}")
    if fault := wrong_form(found):
        raise UserError(f"{file} cannot be read as provenance: {fault[:200]}. {MEND}")
    return {section: found[section] for section in empty()}


def _bytes(file: Path) -> bytes:
    try:
        data = file.read_bytes()
    except OSError as error:
        raise UserError(f"{file} cannot be read as a table: {error.strerror}. {MEND}") from error
    if CONTROLS.search(data) and _is_text(data):
        raise UserError(f"{file} holds control characters, which a terminal would obey. {MEND}")
    return data


def _is_text(data: bytes) -> bool:
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return True

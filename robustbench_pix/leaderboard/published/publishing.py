"""Publish tables as files that anybody can diff: sorted, merged, and written whole or not at all."""

import json
import os
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import pandas as pd

from robustbench_pix.errors import UserError
from robustbench_pix.leaderboard.page.page import page
from robustbench_pix.leaderboard.published.csv_text import MEND, as_published, lines, parsed, read, to_csv_text
from robustbench_pix.leaderboard.published.explanation import readme
from robustbench_pix.leaderboard.published.schema import schema
from robustbench_pix.leaderboard.terminal.picture import svg
from robustbench_pix.results.columns import (
    ACROSS,
    COMPARISONS,
    COSTS,
    EXAMPLES,
    MEASUREMENTS,
    PICTURES,
    QUERIES,
    RECIPE_COSTS,
    ROBUSTNESS,
    Column,
    names,
)
from robustbench_pix.results.frames import BLOCK, KEY, leaderboard_columns, typed
from robustbench_pix.results.merging import REPLACED, asked_rows
from robustbench_pix.results.provenance import Provenance, empty
from robustbench_pix.results.statistics.across import across
from robustbench_pix.results.statistics.comparisons import build_comparisons
from robustbench_pix.results.statistics.recipe_costs import recipe_costs
from robustbench_pix.results.statistics.robustness import build_robustness

PROVENANCE = "provenance.json"

OPTIONAL = ("queries.csv", "across.csv", "pictures.csv")
"""Tables that are written only where they have rows, or had some."""


def publish(
    folder: Path,
    *,
    measurements: pd.DataFrame,
    leaderboard: pd.DataFrame,
    costs: pd.DataFrame,
    queries: pd.DataFrame | None = None,
    pictures: pd.DataFrame | None = None,
    provenance: Provenance | None = None,
) -> list[Path]:
    """Write the tables, already merged, with comparisons, picture, page, README and schema, and return the files.

    queries.csv is written where a decision or score attack was run, pictures.csv where attacks on images that may be
    shown have kept some, provenance.json where it is known.

    Raises:
        UserError: The folder cannot be written to.
    """
    columns = leaderboard_columns(leaderboard.columns)
    measurements = _sorted(measurements, [*KEY, "seed", "attack", "strength"])
    leaderboard = _sorted(leaderboard.assign(loss=-leaderboard["score"]), [*BLOCK, "rank", "loss", "recipe"])
    # Drawn and derived from what the files hold, so that it is the same whether they were just computed or read.
    rounded = as_published(measurements, MEASUREMENTS)
    ranked = as_published(leaderboard, columns)
    asked = asked_rows(leaderboard, rounded)
    against_queries = typed(pd.DataFrame() if queries is None else queries, QUERIES)
    against_queries = as_published(_sorted(against_queries, [*KEY, "attack", "strength"]), QUERIES)
    kept = typed(pd.DataFrame() if pictures is None else pictures, PICTURES)
    # Those of attacks that were measured anew by other means are gone with their measurements.
    kept = kept[kept["attack_id"].isin(rounded["attack_id"])]
    kept = as_published(_sorted(kept, [*KEY, "attack", "index"]), PICTURES)
    robustness = as_published(build_robustness(rounded, asked), ROBUSTNESS)
    tables = {
        "measurements.csv": (measurements, MEASUREMENTS),
        "leaderboard.csv": (leaderboard, columns),
        "robustness.csv": (robustness, ROBUSTNESS),
        "comparisons.csv": (build_comparisons(rounded, asked), COMPARISONS),
        "costs.csv": (_sorted(costs, ["kind", "id"]), COSTS),
        "recipe-costs.csv": (recipe_costs(rounded, costs), RECIPE_COSTS),
        "queries.csv": (against_queries, QUERIES),
        "across.csv": (across(rounded, asked), ACROSS),
        "pictures.csv": (kept, PICTURES),
    }
    of = {name: declared for name, (_, declared) in tables.items()}
    texts = {
        name: to_csv_text(table, declared)
        for name, (table, declared) in tables.items()
        if name not in OPTIONAL or len(table) or (folder / name).exists()
    }
    texts |= {
        "leaderboard.svg": svg(ranked, rounded, robustness),
        "index.html": page(ranked, rounded, against_queries, kept, robustness, provenance),
        "README.md": readme({**of, "examples.parquet": EXAMPLES}),
        "schema.json": json.dumps(schema(of), indent=1) + "\n",
    }
    if provenance is not None:
        texts[PROVENANCE] = json.dumps(provenance, indent=1, ensure_ascii=False, allow_nan=False) + "\n"
    return [write_whole(folder / name, text.encode()) for name, text in texts.items()]


def merge(published: pd.DataFrame, new: pd.DataFrame, on: Sequence[str] = tuple(REPLACED)) -> pd.DataFrame:
    """Return the published rows whose key is not among the new ones, then the new ones.

    The key is a recipe and its block whatever the suite's version, for measurements and leaderboards alike; costs merge
    ``on=("kind", "id")``.
    """
    replaced = set(new[list(on)].itertuples(index=False, name=None))
    kept = [key not in replaced for key in published[list(on)].itertuples(index=False, name=None)]
    parts = [part for part in (published[kept], new) if not part.empty]
    return pd.concat(parts, ignore_index=True) if parts else new.reset_index(drop=True)


def read_published(folder: Path) -> tuple[pd.DataFrame, pd.DataFrame] | None:
    """Return the published measurements and leaderboard, or None where nothing is published.

    Raises:
        UserError: One of the files is absent, is no CSV file, or has other columns than it should.
    """
    files = folder / "measurements.csv", folder / "leaderboard.csv"
    if not any(file.exists() for file in files):
        return None
    measurements, leaderboard = _bytes(files[0]), lines(_bytes(files[1]), files[1])
    columns: tuple[Column, ...] = leaderboard_columns(leaderboard[0])
    return read(measurements, MEASUREMENTS, files[0]), parsed(leaderboard, columns, files[1])


def published_board(folder: Path) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return the published measurements and leaderboard.

    Raises:
        UserError: Nothing is published there, or it cannot be read.
    """
    tables = read_published(folder)
    if tables is None:
        raise UserError(f"Nothing is published in {folder}: it holds no measurements.csv.")
    return tables


def read_costs(folder: Path) -> pd.DataFrame:
    """Return the published costs; no rows where nothing is published.

    Raises:
        UserError: The file is no CSV file, or has other columns than it should.
    """
    return _read_if_there(folder / "costs.csv", COSTS)


def read_queries(folder: Path) -> pd.DataFrame:
    """Return the published success against queries; no rows where none is published.

    Raises:
        UserError: The file is no CSV file, or has other columns than it should.
    """
    return _read_if_there(folder / "queries.csv", QUERIES)


def read_across(folder: Path) -> pd.DataFrame:
    """Return the published means over combinations; no rows where none is published.

    Raises:
        UserError: The file is no CSV file, or has other columns than it should.
    """
    return _read_if_there(folder / "across.csv", ACROSS)


def read_pictures(folder: Path) -> pd.DataFrame:
    """Return the published pictures; no rows where none are published.

    Raises:
        UserError: The file is no CSV file, or has other columns than it should.
    """
    return _read_if_there(folder / "pictures.csv", PICTURES)


def read_table(file: Path, columns: tuple[Column, ...]) -> pd.DataFrame:
    """Return one published table.

    Raises:
        UserError: The file is no CSV file, or has other columns than it should.
    """
    return read(_bytes(file), columns, file)


def _read_if_there(file: Path, columns: tuple[Column, ...]) -> pd.DataFrame:
    return read_table(file, columns) if file.exists() else parsed([names(columns)], columns, file)


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
        return {section: found[section] for section in empty()}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UserError(f"{file} cannot be read as provenance: {error}. {MEND}") from error


def _bytes(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError as error:
        raise UserError(f"{file} cannot be read as a table: {error.strerror}. {MEND}") from error


def _sorted(frame: pd.DataFrame, by: list[str]) -> pd.DataFrame:
    return frame.sort_values(by, kind="stable", na_position="last", ignore_index=True)


def write_whole(file: Path, content: bytes) -> Path:
    """Write a file under another name and rename it, so that it is there whole or not at all."""
    scratch = file.with_name(f".{file.name}.{os.getpid()}")
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        scratch.write_bytes(content)
        scratch.replace(file)
        return file
    except OSError as error:
        raise UserError(f"{file} cannot be written: {error.strerror}.") from error
    finally:
        with suppress(OSError):
            scratch.unlink(missing_ok=True)

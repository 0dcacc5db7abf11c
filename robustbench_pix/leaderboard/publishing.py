"""Publish tables as files that anybody can diff: sorted, merged, and written whole or not at all."""

import csv
import os
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import pandas as pd

from robustbench_pix.errors import UserError
from robustbench_pix.leaderboard.csv_text import MEND, as_published, lines, parsed, to_csv_text
from robustbench_pix.leaderboard.explanation import readme
from robustbench_pix.leaderboard.page import page
from robustbench_pix.leaderboard.picture import svg
from robustbench_pix.results.columns import COSTS, MEASUREMENTS, Column, names
from robustbench_pix.results.frames import BLOCK, KEY, leaderboard_columns, typed
from robustbench_pix.results.queries import FACTS, QUERIES


def publish(
    folder: Path,
    *,
    measurements: pd.DataFrame,
    leaderboard: pd.DataFrame,
    costs: pd.DataFrame,
    queries: pd.DataFrame | None = None,
) -> list[Path]:
    """Write the tables, already merged, with their picture, their page and their README, and return the files.

    queries.csv is written where a decision or score attack was run.

    Raises:
        UserError: The folder cannot be written to.
    """
    columns = leaderboard_columns(leaderboard.columns)
    measurements = _sorted(measurements, [*KEY, "seed", "attack", "strength"])
    leaderboard = _sorted(leaderboard.assign(loss=-leaderboard["score"]), [*BLOCK, "rank", "loss", "recipe"])
    # Drawn from what the files hold, so that it is the same whether the numbers were just computed or read.
    rounded = as_published(leaderboard, columns), as_published(measurements, MEASUREMENTS)
    asked = typed(pd.DataFrame() if queries is None else queries, QUERIES)
    asked = as_published(_sorted(asked, [*FACTS, "attack", "strength"]), QUERIES)
    tables = {"measurements.csv": MEASUREMENTS, "leaderboard.csv": columns, "costs.csv": COSTS, "queries.csv": QUERIES}
    texts = {
        "measurements.csv": to_csv_text(measurements, MEASUREMENTS),
        "leaderboard.csv": to_csv_text(leaderboard, columns),
        "costs.csv": to_csv_text(_sorted(costs, ["kind", "id"]), COSTS),
        "leaderboard.svg": svg(*rounded),
        "index.html": page(*rounded, asked),
        "README.md": readme(tables),
    }
    if len(asked):
        texts["queries.csv"] = to_csv_text(asked, QUERIES)
    return [_write(folder / name, text) for name, text in texts.items()]


def merge(published: pd.DataFrame, new: pd.DataFrame, on: Sequence[str] = tuple(KEY)) -> pd.DataFrame:
    """Return the published rows whose key is not among the new ones, then the new ones.

    The key is a recipe and its block, for measurements and leaderboards alike; costs merge ``on=("kind", "id")``.
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
    measurements, leaderboard = _read(files[0]), _read(files[1])
    columns: tuple[Column, ...] = leaderboard_columns(leaderboard[0])
    return parsed(measurements, MEASUREMENTS, files[0]), parsed(leaderboard, columns, files[1])


def read_costs(folder: Path) -> pd.DataFrame:
    """Return the published costs; no rows where nothing is published.

    Raises:
        UserError: The file is no CSV file, or has other columns than it should.
    """
    file = folder / "costs.csv"
    return parsed(_read(file) if file.exists() else [names(COSTS)], COSTS, file)


def read_queries(folder: Path) -> pd.DataFrame:
    """Return the published success against queries; no rows where none is published.

    Raises:
        UserError: The file is no CSV file, or has other columns than it should.
    """
    file = folder / "queries.csv"
    return parsed(_read(file) if file.exists() else [names(QUERIES)], QUERIES, file)


def _read(file: Path) -> list[list[str]]:
    try:
        return lines(file.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise UserError(f"{file} cannot be read as a table: {error}. {MEND}") from error


def _sorted(frame: pd.DataFrame, by: list[str]) -> pd.DataFrame:
    return frame.sort_values(by, kind="stable", na_position="last", ignore_index=True)


def _write(file: Path, text: str) -> Path:
    """Write a file under another name and rename it, so that it is there whole or not at all."""
    scratch = file.with_name(f".{file.name}.{os.getpid()}")
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        scratch.write_bytes(text.encode())
        scratch.replace(file)
        return file
    except OSError as error:
        raise UserError(f"{file} cannot be written: {error.strerror}.") from error
    finally:
        with suppress(OSError):
            scratch.unlink(missing_ok=True)

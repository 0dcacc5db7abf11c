"""examples.parquet: what became of every image, one row group an attack, so that it is merged piece by piece."""

import os
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from robustbench_pix.attacks.recorded import DISTANCE_AT
from robustbench_pix.errors import UserError
from robustbench_pix.results.checks.findings import ABSOLUTE, RELATIVE, Finding
from robustbench_pix.results.checks.outcomes import Outcomes
from robustbench_pix.results.columns import EXAMPLES as COLUMNS
from robustbench_pix.results.columns import KEY, names, row_key
from robustbench_pix.results.measuring import measure
from robustbench_pix.results.provenance import Provenance
from robustbench_pix.results.statistics.worst_case import SHARED
from robustbench_pix.runs.plan_store import Rows
from robustbench_pix.runs.store import EXAMPLES, Store

_TYPES = {"text": pa.string(), "integer": pa.int32(), "number": pa.float64()}
_SCHEMA = pa.schema([(column.name, _TYPES[column.kind]) for column in COLUMNS])
COUNTED = (
    *("n", "correct", "failed", "area", "success_rate", "chance", "unanswered"),
    *("median_l2", "median_linf", "median_squared_l2_per_pixel", "mean_queries"),
)
"""What follows from the outcomes of images alone."""

_ORDER = ["strength", "repetition", "index"]


def write_examples(folder: Path, rows: Rows, store: Store, attack_ids: set[str]) -> Path:
    """Write the outcomes of all attacks of the rows, beside those that are published already, and return the file.

    Args:
        attack_ids: those of the published measurements; outcomes of others are left out.

    Raises:
        UserError: the folder cannot be written to, or what is published there cannot be read.
    """
    file = folder / EXAMPLES
    pieces = dict(_published(file)) | dict(_stored(rows, store))
    chosen = sorted(key for key in pieces if key[1] in attack_ids)
    scratch = file.with_name(f".{file.name}.{os.getpid()}")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with pq.ParquetWriter(scratch, _SCHEMA, compression="zstd") as writer:
            for key in chosen:
                writer.write_table(pieces[key](), row_group_size=2**31 - 1)
        scratch.replace(file)
    except OSError as error:
        raise UserError(f"{file} cannot be written: {error}.") from error
    finally:
        scratch.unlink(missing_ok=True)
    return file


def published_outcomes(folder: Path) -> Outcomes:
    """Return the outcomes of examples.parquet, none where it is absent; UserError where it cannot be read."""
    return {attack_id: partial(_as_evaluated, read) for (_, attack_id), read in _published(folder / EXAMPLES)}


def _as_evaluated(read: Callable[[], Any]) -> pd.DataFrame:
    """Return a row group with the columns and types of a run's examples, so that the same arithmetic follows."""
    try:
        found = read().to_pandas()
        minimal = found["strength"].isna().all()
        distances = [name for name in map(str, found) if name.startswith(DISTANCE_AT)]
        absent = ["found_at"] if minimal else [*distances, "queries_at_half"]
        types = {**dict.fromkeys(["l2", "linf", *distances], "float32"), "correct": "bool", "failed": "bool"}
        table: pd.DataFrame = found.astype(types).drop(columns=absent)
        return table
    except (OSError, pa.ArrowException, ValueError, KeyError, TypeError) as error:
        raise UserError(f"{EXAMPLES} cannot be read: {error}.") from error


def contradictions(folder: Path, measurements: pd.DataFrame, provenance: Provenance) -> list[Finding]:
    """Return where numbers made from examples.parquet are not those of the measurements; nothing where it is absent.

    Raises:
        UserError: the file cannot be read.
    """
    by_attack = dict(iter(measurements.drop_duplicates(["attack_id", "strength"]).groupby("attack_id")))
    entries = {row_key(row): row["entries"] for row in provenance["rows"]}
    findings = []
    for (model_id, attack_id), read in _published(folder / EXAMPLES):
        rows = by_attack.get(attack_id)
        if rows is None or model_id not in set(rows["model_id"]):
            findings.append(Finding(EXAMPLES, None, "attack_id", f"{attack_id} is not in measurements.csv"))
        elif rows["attack_hash"].iloc[0] in provenance["attacks"]:
            rows = rows.sort_values("strength", ignore_index=True)
            attack = provenance["attacks"][rows["attack_hash"].iloc[0]]
            column = _otherwise(_as_evaluated(read), rows, attack, entries.get(tuple(rows[KEY].iloc[0]), 1))
            if column:
                what = f"{rows['attack'].iloc[0]} on {rows['recipe'].iloc[0]}, seed {rows['seed'].iloc[0]}"
                findings.append(Finding(EXAMPLES, None, column, f"{what}: the images count otherwise than {column}"))
    return findings


def _otherwise(examples: pd.DataFrame, published: pd.DataFrame, attack: dict[str, Any], entries: int) -> str:
    """Return the first column of measurements that the outcomes of images do not give, or ""."""
    measured, stated = set(examples["strength"].dropna()), sorted(attack["strengths"])
    shown = published["strength"].dropna().to_numpy(float)
    if measured not in (set(), set(stated)) or len(shown) != len(stated) or not np.allclose(shown, stated):
        return "strength"
    spec = {
        "identity": {"attack": attack, "protocol": published["protocol"].iloc[0]},
        "context": {"entries": entries, "batch_dependent": False},
        **dict.fromkeys(SHARED, ""),
    }
    again = pd.DataFrame(measure(examples, spec)).sort_values("strength", ignore_index=True)
    for column in COUNTED:
        one, other = (table[column].astype(float).to_numpy(na_value=np.nan) for table in (again, published))
        if not np.allclose(one, other, rtol=RELATIVE, atol=ABSOLUTE, equal_nan=True):
            return column
    return ""


def _stored(rows: Rows, store: Store) -> Iterator[tuple[tuple[str, str], Callable[[], Any]]]:
    for row in rows:
        for run in row.finished(store):
            if run.is_attack:
                key = run.model.partition("-")[2], run.run.partition("-")[2]
                yield key, partial(_table, key, store.file(run.run, EXAMPLES))


def _table(key: tuple[str, str], file: Path) -> Any:
    found = pd.read_parquet(file).sort_values(_ORDER, kind="stable", ignore_index=True)
    found = found.assign(model_id=key[0], attack_id=key[1]).reindex(columns=names(COLUMNS))
    return pa.Table.from_pandas(found, _SCHEMA, preserve_index=False, safe=False).replace_schema_metadata(None)


def _published(file: Path) -> Iterator[tuple[tuple[str, str], Callable[[], Any]]]:
    if not file.exists():
        return
    try:
        found = pq.ParquetFile(file, memory_map=True)
        if found.schema_arrow.names != names(COLUMNS):
            raise UserError(f"{file} has other columns than it should; delete it, and run rbp publish --examples.")
        for place in range(found.num_row_groups):
            table = found.read_row_group(place, columns=["model_id", "attack_id"])
            ids = {name: set(table.column(name).unique().to_pylist()) for name in ("model_id", "attack_id")}
            if any(len(values) != 1 for values in ids.values()):
                raise UserError(f"{file} mixes attacks; delete it, and run rbp publish --examples.")
            yield (ids["model_id"].pop(), ids["attack_id"].pop()), partial(found.read_row_group, place)
    except (OSError, pa.ArrowException, KeyError, ValueError) as error:
        raise UserError(f"{file} cannot be read as examples: {error}.") from error

"""examples.parquet: what became of every image, one row group an attack, so that it is merged piece by piece."""

import os
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from robustbench_pix.attacks.checkpoints import DISTANCE_AT
from robustbench_pix.errors import UserError
from robustbench_pix.results.checks.findings import Finding
from robustbench_pix.results.checks.outcomes import Outcomes
from robustbench_pix.results.columns import EXAMPLES as COLUMNS
from robustbench_pix.results.columns import names
from robustbench_pix.runs.plans import CHECK, Rows
from robustbench_pix.runs.store import EXAMPLES, Store

_TYPES = {"text": pa.string(), "integer": pa.int32(), "number": pa.float64()}
_SCHEMA = pa.schema([(column.name, _TYPES[column.kind]) for column in COLUMNS])
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
    """Return what became of every image, as examples.parquet states it; nothing where it is absent.

    Raises:
        UserError: the file cannot be read.
    """
    return {attack_id: partial(_as_evaluated, read) for (_, attack_id), read in _published(folder / EXAMPLES)}


def _as_evaluated(read: Callable[[], Any]) -> pd.DataFrame:
    """Return a row group with the columns and types of a run's examples, so that the same arithmetic follows."""
    found = read().to_pandas()
    minimal = found["strength"].isna().all()
    distances = [name for name in found if name.startswith(DISTANCE_AT)]
    absent = ["found_at"] if minimal else [*distances, "queries_at_half"]
    types = {**dict.fromkeys(["l2", "linf", *distances], "float32"), "correct": "bool", "failed": "bool"}
    return found.astype(types).drop(columns=absent)


def contradictions(folder: Path, measurements: pd.DataFrame) -> list[Finding]:
    """Return where counts made from examples.parquet are not those of the measurements; nothing where it is absent.

    Raises:
        UserError: the file cannot be read.
    """
    published = measurements[measurements["correct"].notna()].drop_duplicates(["attack_id", "strength"])
    by_attack = dict(iter(published.groupby("attack_id")))
    known = set(measurements["attack_id"])
    findings = []
    for (_, attack_id), read in _published(folder / EXAMPLES):
        if attack_id not in known:
            findings.append(Finding(EXAMPLES, None, "attack_id", f"{attack_id} is not in measurements.csv"))
        elif attack_id in by_attack:
            rows = by_attack[attack_id].sort_values("strength")
            counts = list(zip(rows["n"], rows["correct"], strict=True))
            if _counts(read().to_pandas(), rows) != counts:
                what = f"{rows['attack'].iloc[0]} on {rows['recipe'].iloc[0]}, seed {rows['seed'].iloc[0]}"
                findings.append(Finding(EXAMPLES, None, "correct", f"{what}: the images count otherwise than correct"))
    return findings


def _counts(examples: pd.DataFrame, rows: pd.DataFrame) -> list[tuple[int, int]]:
    """Return (n, correct) at each strength: as judged, or by the smallest distance under a strict or paper protocol."""
    if examples["strength"].notna().any():
        groups = examples.groupby("strength")["correct"]
        return list(zip(groups.size(), groups.sum(), strict=True))
    distance = examples["linf" if rows["strength_kind"].iloc[0] == "linf" else "l2"].to_numpy()
    clean = (examples["label"] == examples["clean_prediction"]).to_numpy()
    return [(len(examples), int((clean & (distance > strength)).sum())) for strength in rows["strength"]]


def _stored(rows: Rows, store: Store) -> Iterator[tuple[tuple[str, str], Callable[[], Any]]]:
    for row in rows:
        for cell in row["cells"]:
            if cell["attack"] != CHECK and store.has(cell["run"]) and store.damage(cell["run"]) is None:
                key = cell["model"].partition("-")[2], cell["run"].partition("-")[2]
                yield key, partial(_table, key, store.folder(cell["run"]) / EXAMPLES)


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
            ids = found.read_row_group(place, columns=["model_id", "attack_id"]).slice(0, 1).to_pylist()[0]
            yield (ids["model_id"], ids["attack_id"]), partial(found.read_row_group, place)
    except (OSError, pa.ArrowException, KeyError) as error:
        raise UserError(f"{file} cannot be read as examples: {error}.") from error

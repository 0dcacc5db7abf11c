"""The example images that attacks have kept, of one model a recipe: pictures.csv."""

from collections.abc import Iterator
from typing import Any

import pandas as pd

from robustbench_pix.results.columns import PICTURES as COLUMNS
from robustbench_pix.results.columns import names
from robustbench_pix.results.frames import KEY, typed
from robustbench_pix.runs.plan_store import PlannedRow, Rows
from robustbench_pix.runs.store import PICTURES, Store


def picture_table(rows: Rows, store: Store) -> pd.DataFrame:
    """Return the pictures of every row, under each attack of the lowest seed that has some.

    Runs of data sets whose pictures are not ours to publish have none, and neither have those of earlier versions.
    """
    lines = [line for row in rows for line in _of_row(row, store)]
    return typed(pd.DataFrame(lines, columns=names(COLUMNS)), COLUMNS)


def _of_row(row: PlannedRow, store: Store) -> Iterator[dict[str, Any]]:
    shared, done = {name: row.facts[name] for name in KEY}, set[str]()
    for run in sorted(row.finished(store), key=lambda run: run.seed):
        if not run.is_attack or run.attack in done or not store.holds(run.run, PICTURES):
            continue
        done.add(run.attack)
        of = {"seed": run.seed, "attack": run.attack, "attack_id": run.run.partition("-")[2]}
        for line in pd.read_parquet(store.file(run.run, PICTURES)).to_dict("records"):
            yield {**shared, **of, **{str(name): value for name, value in line.items()}}

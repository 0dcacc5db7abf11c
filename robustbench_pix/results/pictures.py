"""The pictures that attacks have kept, of one model a recipe: pictures.csv."""

from collections.abc import Iterator
from typing import Any

import pandas as pd

from robustbench_pix.results.columns import PICTURES as COLUMNS
from robustbench_pix.results.columns import names
from robustbench_pix.results.frames import KEY, typed
from robustbench_pix.runs.plans import CHECK, Rows
from robustbench_pix.runs.store import PICTURES, Store


def picture_table(rows: Rows, store: Store) -> pd.DataFrame:
    """Return the pictures of every row, under each attack of the lowest seed that has some.

    Runs of data sets whose pictures are not ours to publish have none, and neither have those of earlier versions.
    """
    lines = [line for row in rows for line in _of_row(row, store)]
    return typed(pd.DataFrame(lines, columns=names(COLUMNS)), COLUMNS)


def _of_row(row: dict[str, Any], store: Store) -> Iterator[dict[str, Any]]:
    shared, done = {name: row["facts"][name] for name in KEY}, set[str]()
    for cell in sorted(row["cells"], key=lambda cell: int(cell["seed"])):
        file = store.folder(cell["run"]) / PICTURES
        if cell["attack"] in {CHECK, *done} or not file.exists() or store.damage(cell["run"]) is not None:
            continue
        done.add(cell["attack"])
        of = {"seed": cell["seed"], "attack": cell["attack"], "attack_id": cell["run"].partition("-")[2]}
        for line in pd.read_parquet(file).to_dict("records"):
            yield {**shared, **of, **{str(name): value for name, value in line.items()}}

"""What must hold between a published picture, its original, and the measurements of the attack that made it."""

from functools import partial
from typing import Any

import numpy as np
import pandas as pd

from robustbench_pix.results.checks.findings import Finding, found
from robustbench_pix.results.frames import KEY

FILE = "pictures.csv"

HALF_LEVEL = 0.5 / 255
"""By so much an entry of a picture may differ from the image that was judged."""

DIGITS = 1e-5
"""Norms were measured in float32."""

CELL = [*KEY, "seed", "attack", "attack_id"]


def false_pictures(pictures: pd.DataFrame, measurements: pd.DataFrame) -> list[Finding]:
    """Return every picture that is not what its row says, as far as the files can tell.

    ``pictures`` has the columns ``PICTURES``, of the right form each.
    """
    table = pictures.reset_index(drop=True)
    findings = _rows(table, measurements)
    return findings if findings else _distances(table)


def _rows(table: pd.DataFrame, measurements: pd.DataFrame) -> list[Finding]:
    wrong = partial(found, FILE, table)
    image = table.groupby(["task", "colour", "index"], sort=False)
    known = set(measurements[CELL].itertuples(index=False, name=None))
    entries = table["height"] * table["width"] * table["colour"].map({"gray": 1, "rgb": 3})
    return [
        *wrong(
            [row not in known for row in table[CELL].itertuples(index=False, name=None)],
            "attack_id",
            lambda row: f"{row['attack_id']} is not in measurements.csv as {row['attack']} on {row['recipe']}",
        ),
        *wrong(
            table.duplicated([*KEY, "attack", "index"]),
            "index",
            lambda row: f"{row['attack']} on {row['recipe']} has two pictures of the image {row['index']}",
        ),
        *(
            finding
            for column in ("original", "picture")
            for finding in wrong(
                table[column].str.len() != 2 * entries,
                column,
                lambda row: f"it is not as large as {row['height']} x {row['width']} pixels in {row['colour']}",
            )
        ),
        *(
            finding
            for column in ("label", "original")
            for finding in wrong(
                table[column] != image[column].transform("first"),
                column,
                lambda row: f"the image {row['index']} of {row['task']} is another one above",
            )
        ),
    ]


def _distances(table: pd.DataFrame) -> list[Finding]:
    """Check the norms of what was changed, up to the rounding of the picture; an original has whole levels."""
    before, after = (table[name].map(_levels) for name in ("original", "picture"))
    changed = [(late - early) / 255 for early, late in zip(before, after, strict=True)]
    norms = {
        "l2": ([float(np.linalg.norm(change)) for change in changed], [np.sqrt(len(change)) for change in changed]),
        "linf": ([float(np.abs(change).max()) for change in changed], [1.0 for _ in changed]),
    }
    findings = []
    for name, (norm, roundings) in norms.items():
        wrong = (table[name] - norm).abs() > np.array(roundings) * HALF_LEVEL + DIGITS
        findings += found(FILE, table.assign(norm=norm), wrong, name, partial(_other_norm, name))
    return findings


def _other_norm(name: str, row: dict[str, Any]) -> str:
    return f"{row[name]:.10g} is not that of the picture, {row['norm']:.10g}"


def _levels(text: str) -> np.ndarray:
    return np.frombuffer(bytes.fromhex(text), dtype=np.uint8).astype(float)

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

BALL = 1e-4
"""What an attack may leave its ball by, by rounding."""

CELL = [*KEY, "seed", "attack", "attack_id"]


def false_pictures(pictures: pd.DataFrame, measurements: pd.DataFrame) -> list[Finding]:
    """Return every picture that is not what its row says, as far as the files can tell.

    ``pictures`` has the columns ``PICTURES``, of the right form each.
    """
    table = pictures.reset_index(drop=True)
    findings = _rows(table, measurements)
    return findings if findings else [*_distances(table), *_outcomes(table, measurements)]


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


def _outcomes(table: pd.DataFrame, measurements: pd.DataFrame) -> list[Finding]:
    """Check that the measurements leave room for a picture: its image is right at all lower strengths, and wrong there.

    At a given strength that is an l2 or linf radius the picture lies within it. What did not change is the original.
    """
    ends = measurements.groupby(CELL, sort=False)["strength"].max()
    kinds = measurements.groupby(CELL, sort=False)["strength_kind"].first()
    cells = list(table[CELL].itertuples(index=False, name=None))
    kind = pd.Series([kinds[cell] for cell in cells], index=table.index)
    held, given = table["prediction"] == table["label"], table["strength"].notna()
    norm = table["linf"].where(kind == "linf", table["l2"])
    reached = table["strength"].where(given, norm).where(~held, np.inf)
    lines = table.assign(place=table.index, reached=reached, given=given)
    measured = measurements[[*CELL, "strength", "n", "correct"]].rename(columns={"strength": "at"})
    pairs = lines.merge(measured[measured["correct"].notna()], on=CELL)
    listed = pairs[(pairs["at"] == pairs["strength"])].groupby("place").size()
    none_right = pairs[(pairs["at"] < pairs["reached"] * (1 - DIGITS)) & (pairs["correct"] == 0)]
    there = (pairs["at"] == pairs["strength"]) | (~pairs["given"] & (pairs["at"] > pairs["reached"] * (1 + DIGITS)))
    none_wrong = pairs[there & (pairs["reached"] < np.inf) & (pairs["correct"] == pairs["n"])]
    wrong = partial(found, FILE, table)
    return [
        *wrong(
            given & (~table.index.isin(listed.index) | (held & (table["strength"] != [ends[cell] for cell in cells]))),
            "strength",
            lambda row: f"{row['strength']:.10g} is no strength of {row['attack']}, or it failed and has larger ones",
        ),
        *wrong(
            given & kind.isin(["l2", "linf"]) & (norm > table["strength"] * (1 + BALL) + BALL),
            "strength",
            lambda row: f"{row['strength']:.10g} is less than the norm of the perturbation",
        ),
        *wrong(
            ((held & ~given) | (table["strength"] == 0)) & (table["picture"] != table["original"]),
            "picture",
            lambda row: "it is not the original, though nothing was found or changed",
        ),
        *wrong(
            table.index.isin([*none_right["place"], *none_wrong["place"]]),
            "prediction",
            lambda row: f"{row['prediction']} contradicts the counts of correct images in measurements.csv",
        ),
    ]

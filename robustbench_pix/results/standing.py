"""Published rows of others that new rows of the same name may not push out: what they measured would be lost."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd

from robustbench_pix.errors import UserError
from robustbench_pix.results.merging import REPLACED
from robustbench_pix.runs.plans import Rows

MEASURED = ("suite_version", "task_hash", "suite_hash")
"""Where one of these differs, both rows cannot stand in one block: see ``merging.refuse_other_protocols``."""

Key = tuple[Any, ...]
"""The values of ``merging.REPLACED``."""


class Standing(NamedTuple):
    """A published row that stays although the runs have one of the same recipe and block, and why."""

    key: Key
    reason: str

    def __str__(self) -> str:
        row = dict(zip(REPLACED, self.key, strict=True))
        return (
            f"{row['recipe']} on {row['task']}:{row['images']} under {row['suite']} stays as published: {self.reason}."
        )


def standing(
    published: pd.DataFrame, new: pd.DataFrame, lines: pd.DataFrame, *, ours: Callable[[str], bool], folder: Path
) -> list[Standing]:
    """Return the published rows that stay: those of others that measured what the new row of their name did not.

    A row is of others where one of its models is not in the runs at hand.

    Args:
        published, new: the columns ``MEASUREMENTS``.
        lines: the new rows, measured or not: the columns ``ROWS``.
        ours: whether the runs have the model of this ``model_id``.
        folder: what is published, for the error.

    Raises:
        UserError: a new row has the name of a published row of others, and is another recipe.
    """
    theirs, measured = (dict(iter(table.groupby(REPLACED, sort=False))) for table in (published, new))
    found = []
    for key in lines[REPLACED].itertuples(index=False, name=None):
        before, now = theirs.get(key), measured.get(key)
        if before is None or all(ours(model) for model in before["model_id"].unique()):
            continue
        if now is None:
            found.append(Standing(key, "nothing was measured here"))
        elif not any(set(before[name]) != set(now[name]) for name in MEASURED):
            row = dict(zip(REPLACED, key, strict=True))
            if set(before["recipe_hash"]) != set(now["recipe_hash"]):
                raise UserError(
                    f"{folder} holds {row['recipe']} on {row['task']}:{row['images']} of others, who gave that name to "
                    "another recipe (recipe_hash); give yours another name, or move theirs away."
                )
            lacking = _cells(before) - _cells(now)
            if lacking:
                listed = ", ".join(str(seed) for seed in sorted({seed for seed, _ in lacking}))
                found.append(Standing(key, f"its attacks on seeds {listed} were not all measured here"))
    return found


def _cells(measured: pd.DataFrame) -> set[tuple[int, str]]:
    return set(measured[["seed", "attack"]].itertuples(index=False, name=None))


def without(rows: Rows, kept: list[Standing]) -> Rows:
    """Return the rows of plans but for those whose published row stays."""
    keys = {row.key for row in kept}
    return [row for row in rows if tuple(row["facts"][name] for name in REPLACED) not in keys]

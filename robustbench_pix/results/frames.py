"""Tables whose columns have the declared order and kind, whatever they were made from."""

from collections.abc import Iterable
from typing import Any

import numpy as np
import pandas as pd

from robustbench_pix.results.columns import (
    DISTANCE_PREFIX,
    LEADERBOARD,
    MEASUREMENTS,
    RETAINED_PREFIX,
    ROBUSTNESS_PREFIX,
    Column,
    names,
)

KEY = names(MEASUREMENTS)[: names(MEASUREMENTS).index("recipe") + 1]
"""What one row of a leaderboard is about: a recipe in a block."""

BLOCK = KEY[:-1]
"""What recipes must share to be compared."""

ROWS = (
    *MEASUREMENTS[: len(KEY)],
    Column("controls", "text", "For a control: the recipe whose claim it tests"),
    Column("attacks", "text", "The attacks of the suite, in its order, with commas"),
    Column("seed_list", "text", "The seeds asked for, with commas"),
    Column("status", "text", "not run, or empty"),
    Column("note", "text", "Why it was not run, or why something failed"),
    Column("remark", "text", "What a reader must know of it anyway; for now, that it is a given model"),
)
"""What a leaderboard is asked for: one row a recipe and block, measured or not."""


def leaderboard_columns(found: Iterable[str]) -> tuple[Column, ...]:
    """Return the declared columns of a leaderboard, then the robustness and the distance columns among those found."""
    found = list(found)
    robustness = "Normalized area under the accuracy under this attack; the clean accuracy if nothing is lost"
    retained = "Robustness under this attack divided by the clean accuracy, mean over seeds"
    distance = "Median squared L2 norm per entry that this attack needed, mean over seeds; not part of the score"
    return (
        *LEADERBOARD,
        *(Column(name, "number", robustness) for name in found if name.startswith(ROBUSTNESS_PREFIX)),
        *(Column(name, "number", retained) for name in found if name.startswith(RETAINED_PREFIX)),
        *(Column(name, "number", distance) for name in found if name.startswith(DISTANCE_PREFIX)),
    )


def typed(frame: pd.DataFrame, columns: tuple[Column, ...]) -> pd.DataFrame:
    """Return the columns in their order and of their kind: absent text is "", absent numbers are NaN or NA.

    >>> typed(pd.DataFrame({"b": [None]}), (Column("a", "text", ""), Column("b", "integer", ""))).loc[0].tolist()
    ['', <NA>]
    """
    found = frame.reindex(columns=names(columns)).reset_index(drop=True)
    return pd.DataFrame({column.name: _of_kind(found[column.name], column) for column in columns})


def _of_kind(values: Any, column: Column) -> Any:
    if column.kind == "text":
        if str(values.dtype) == "str" and not values.hasnans:
            return values
        return values.astype(object).where(values.notna(), "").astype(str)
    return values.astype("Int64") if column.kind == "integer" else values.where(values.notna(), np.nan).astype(float)

"""Tables whose columns have the declared order and kind, whatever they were made from."""

from typing import Any

import numpy as np
import pandas as pd

from robustbench_pix.results.columns import MEASUREMENTS, Column, names

KEY = names(MEASUREMENTS)[: names(MEASUREMENTS).index("recipe") + 1]
"""What one row of a leaderboard is about: a recipe in a setting."""

_DTYPES = {"text": "str", "integer": "Int64", "number": "float64"}

SETTING = KEY[:-1]
"""What recipes must share to be compared; rows that share it stand in one setting."""


def typed(frame: pd.DataFrame, columns: tuple[Column, ...]) -> pd.DataFrame:
    """Return the columns in their order and of their kind: absent text is "", absent numbers are NaN or NA.

    >>> typed(pd.DataFrame({"b": [None]}), (Column("a", "text", ""), Column("b", "integer", ""))).loc[0].tolist()
    ['', <NA>]
    """
    if _is_typed(frame, columns):
        return frame.copy(deep=False)
    found = frame.reindex(columns=names(columns)).reset_index(drop=True)
    return pd.DataFrame({column.name: _of_kind(found[column.name], column) for column in columns})


def _is_typed(frame: pd.DataFrame, columns: tuple[Column, ...]) -> bool:
    if list(frame.columns) != names(columns) or not frame.index.equals(pd.RangeIndex(len(frame))):
        return False
    dtypes = [str(dtype) for dtype in frame.dtypes]
    texts = [column.name for column in columns if column.kind == "text"]
    return dtypes == [_DTYPES[column.kind] for column in columns] and not frame[texts].isna().any(axis=None)


def _of_kind(values: Any, column: Column) -> Any:
    if column.kind == "text":
        if str(values.dtype) == "str" and not values.hasnans:
            return values
        return values.astype(object).where(values.notna(), "").astype(str)
    return values.astype("Int64") if column.kind == "integer" else values.where(values.notna(), np.nan).astype(float)

"""Compare published tables with what was derived again, and say where a published number is another one."""

from functools import partial
from typing import Any

import numpy as np
import pandas as pd

from robustbench_pix.results.checks.findings import Finding, found
from robustbench_pix.results.columns import Column

RELATIVE, ABSOLUTE = 1e-8, 1e-9
"""Ten digits are published, and machines add in different orders."""


def disagreements(
    file: str,
    published: pd.DataFrame,
    derived: pd.DataFrame,
    columns: tuple[Column, ...],
    key: list[str],
    of: str = "measurements",
) -> list[Finding]:
    """Return every cell of a published table that differs from the one derived, and rows that only one has.

    Args:
        published, derived: tables with these columns.
        key: the columns that name a row.
        of: what the derived table was derived from, in words.
    """
    names = published[key].apply(tuple, axis="columns") if len(published) else pd.Series(dtype=object)
    twice = published.duplicated(key)
    findings = found(file, published, twice, key[-1], lambda row: f"the row of {row[key[-1]]} stands there twice")
    aligned = derived.drop_duplicates(key).set_index(key)
    known = names.isin(aligned.index)
    findings += found(file, published, ~known, key[-1], lambda row: f"the {of} lead to no row of {row[key[-1]]}")
    kept = published[known & ~twice]
    expected = aligned.loc[list(names[kept.index])].reset_index()
    for column in columns:
        if column.name in key:
            continue
        values = pd.Series(expected[column.name].to_numpy(), index=kept.index)
        wrong = _differ(kept[column.name], values, column).reindex(published.index, fill_value=False)
        told = published.assign(derived=values)
        findings += found(file, told, wrong, column.name, partial(_says, column.name, key[-1], of))
    absent = derived[~derived[key].apply(tuple, axis="columns").isin(set(names))] if len(derived) else derived
    return findings + [
        Finding(file, None, "", f"the row of {', '.join(str(row[name]) for name in key)} is missing")
        for row in absent.to_dict("records")
    ]


def _differ(published: "pd.Series[Any]", derived: "pd.Series[Any]", column: Column) -> "pd.Series[bool]":
    if column.kind == "text":
        return published != derived
    numbers = published.astype(float).to_numpy(), derived.astype(float).to_numpy()
    return pd.Series(~np.isclose(*numbers, rtol=RELATIVE, atol=ABSOLUTE, equal_nan=True), index=published.index)


def _says(column: str, last: str, of: str, row: dict[str, Any]) -> str:
    return f"{row[last]} has {_shown(row[column])}, but the {of} give {_shown(row['derived'])}"


def _shown(value: Any) -> str:
    if isinstance(value, str):
        return repr(value)
    return "nothing" if pd.isna(value) else f"{value:.10g}"

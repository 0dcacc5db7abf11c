"""What is wrong with published tables: one sentence each, with the place where it stands."""

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from robustbench_pix.results.columns import Column

SHOWN = 3
"""Of rows with the same fault so many are named; the last of them says how many more there are."""


class Finding(NamedTuple):
    """One fault: in which file, which row (counted from 1, without the header), which column, and what it is."""

    file: str
    row: int | None
    column: str
    fault: str

    def __str__(self) -> str:
        place = [self.file, *([f"row {self.row}"] if self.row else []), *([self.column] if self.column else [])]
        return f"{', '.join(place)}: {self.fault}."


def found(
    file: str, table: pd.DataFrame, wrong: Any, column: str, sentence: str | Callable[[dict[Any, Any]], str]
) -> list[Finding]:
    """Return a finding for each of the first rows of a table that are wrong.

    Args:
        wrong: one truth value a row; what is absent is not wrong.
        sentence: the fault of a row: a format string over its columns, or a function of it.
    """
    places = pd.Series(wrong, index=table.index).fillna(False).astype(bool).to_numpy().nonzero()[0]
    says = sentence.format_map if isinstance(sentence, str) else sentence
    texts = [says(row) for row in table.iloc[places[:SHOWN]].to_dict("records")]
    if more := len(places) - len(texts):
        texts[-1] += f" (and so in {more} more rows)"
    return [Finding(file, int(place) + 1, column, text) for place, text in zip(places, texts, strict=False)]


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
    names = _names(published, key)
    twice = published.duplicated(key)
    findings = found(file, published, twice, key[-1], f"the row of {{{key[-1]}}} stands there twice")
    aligned = derived.drop_duplicates(key).set_index(key)
    known = names.isin(aligned.index)
    findings += found(file, published, ~known, key[-1], f"the {of} lead to no row of {{{key[-1]}}}")
    kept = published[known & ~twice]
    expected = aligned.loc[list(names[kept.index])].reset_index()
    for column in columns:
        if column.name in key:
            continue
        values = pd.Series(expected[column.name].to_numpy(), index=kept.index)
        wrong = _differ(kept[column.name], values, column)
        if wrong.any():
            told = published.assign(derived=values)
            wrong = wrong.reindex(published.index, fill_value=False)
            findings += found(file, told, wrong, column.name, partial(_says, column.name, key[-1], of))
    absent = derived[~_names(derived, key).isin(set(names))]
    return findings + [
        Finding(file, None, "", f"the row of {', '.join(str(row[name]) for name in key)} is missing")
        for row in absent.to_dict("records")
    ]


def _names(table: pd.DataFrame, key: list[str]) -> "pd.Series[Any]":
    return pd.Series(list(table[key].itertuples(index=False, name=None)), index=table.index, dtype=object)


def _differ(published: "pd.Series[Any]", derived: "pd.Series[Any]", column: Column) -> "pd.Series[bool]":
    if column.kind == "text":
        return published != derived
    numbers = published.astype(float).to_numpy(), derived.astype(float).to_numpy()
    return pd.Series(~np.isclose(*numbers, rtol=RELATIVE, atol=ABSOLUTE, equal_nan=True), index=published.index)


def _says(column: str, last: str, of: str, row: dict[Any, Any]) -> str:
    return f"{row[last]} has {_shown(row[column])}, but the {of} give {_shown(row['derived'])}"


def _shown(value: Any) -> str:
    if isinstance(value, str):
        return repr(value)
    return "nothing" if pd.isna(value) else f"{value:.10g}"

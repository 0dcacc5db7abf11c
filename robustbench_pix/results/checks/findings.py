"""What is wrong with published tables: one sentence each, with the place where it stands."""

from collections.abc import Callable
from typing import Any, NamedTuple

import pandas as pd

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
    file: str, table: pd.DataFrame, wrong: Any, column: str, sentence: Callable[[dict[str, Any]], str]
) -> list[Finding]:
    """Return a finding for each of the first rows of a table that are wrong.

    Args:
        wrong: one truth value a row; what is absent is not wrong.
        sentence: from a row to what is wrong with it.
    """
    mask = pd.Series(wrong, index=table.index).fillna(False).astype(bool).to_numpy()
    places = mask.nonzero()[0]
    if not len(places):
        return []
    rows = table.iloc[places[:SHOWN]].to_dict("records")
    more = len(places) - len(rows)
    texts = [sentence({str(name): value for name, value in row.items()}) for row in rows]
    if more:
        texts[-1] += f" (and so in {more} more rows)"
    return [Finding(file, int(place) + 1, column, text) for place, text in zip(places, texts, strict=False)]

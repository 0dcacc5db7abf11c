"""Tables of numbers in LaTeX, aligned at the decimal point; no package but booktabs is needed.

A number takes two columns of a tabular, what stands before its point and the rest, so that points lie below each other
whatever the font, a sign or bold letters do; what belongs to a number, such as its interval, takes a third.
"""

import math
import re
from collections.abc import Sequence
from typing import NamedTuple

import pandas as pd

from robustbench_pix.leaderboard.cells import share
from robustbench_pix.leaderboard.paper import latex

TEXT, WHOLE, NUMBER, MEASURED = "l", "r", "r@{}l", "r@{}l@{}l"
"""Layouts of a column: text; numbers of equally many decimals; a number; a number with its interval."""

CELLS = {TEXT: 1, WHOLE: 1, NUMBER: 2, MEASURED: 3}
NOTHING = "--"


class Column(NamedTuple):
    """A column as a reader sees it: its heading, which is LaTeX already, and its layout."""

    heading: str
    layout: str = NUMBER


def table(
    caption: str,
    name: str,
    columns: Sequence[Column],
    body: Sequence[Sequence[str]],
    *,
    groups: Sequence[tuple[str, int]] = (),
) -> str:
    """Return a table; its cells are what ``number`` and its like return, or texts that are LaTeX already.

    Args:
        caption: What stands above it.
        name: What it is referred to by.
        columns: From left to right.
        body: A cell a column in each line; a line of one text stands as it is.
        groups: Headings above those of the columns, with how many columns each is of; "" leaves them without.
    """
    head = [[_over(column.heading, CELLS[column.layout]) for column in columns]]
    if groups:
        above, rules, place = [], [], 0
        for heading, count in groups:
            first = 1 + sum(CELLS[column.layout] for column in columns[:place])
            place += count
            last = sum(CELLS[column.layout] for column in columns[:place])
            above.append(_over(heading, last - first + 1))
            rules += [rf"\cmidrule(lr){{{first}-{last}}}"] if heading else []
        head = [above, [" ".join(rules)], *head]
    return latex.table(caption, name, "".join(column.layout for column in columns), head, body)


def whole(text: str) -> str:
    """Return the one cell of a number in a column where all have equally many decimals and none is bold.

    >>> whole("1,234")
    '$1{,}234$'
    """
    return _mathematics(text, bold=False)


def section(text: str, columns: Sequence[Column], *, first: bool) -> list[str]:
    """Return a line of a body that stands above the lines it is about; the text is LaTeX already."""
    space = "" if first else r"\addlinespace "
    wide = sum(CELLS[column.layout] for column in columns)
    return [rf"{space}\multicolumn{{{wide}}}{{l}}{{\emph{{{text}}}}}{latex.LINE_END}"]


def number(text: str, *, bold: bool = False) -> str:
    """Return the two cells of a number that is written out, perhaps after <, > or =.

    >>> number("-.012"), number("1,234.5", bold=True)
    ('$-$ & $.012$', '$\\\\mathbf{1{,}234}$ & $\\\\mathbf{.5}$')
    """
    before, point, after = text.partition(".")
    return " & ".join(_mathematics(part, bold=bold) for part in (before, point + after))


def with_half(text: str, half: str, *, bold: bool = False) -> str:
    """Return the three cells of a number and of half of its interval; of the number alone where that is "".

    >>> with_half(".678", ".017")
    ' & $.678$ & $\\\\,\\\\pm\\\\,.017$'
    """
    return f"{number(text, bold=bold)} & " + (rf"$\,\pm\,{_tight(half)}$" if half else "")


def with_ends(text: str, low: str, high: str, *, bold: bool = False) -> str:
    """Return the three cells of a number and of an interval that need not lie around it evenly."""
    return rf"{number(text, bold=bold)} & $\;[{_tight(low)}, {_tight(high)}]$"


def absent(layout: str, text: str = NOTHING) -> str:
    """Return what stands where there is no number."""
    return _over(text, CELLS[layout])


def share_cell(value: float, *, best: float = math.nan, signed: bool = False) -> str:
    """Return the cells of a number between -1 and 1, bold where it reads as the best does."""
    if math.isnan(value):
        return absent(NUMBER)
    return number(share(value, signed=signed), bold=share(value) == share(best))


def measured_share(value: float, low: float, high: float, *, best: float = math.nan, signed: bool = False) -> str:
    """Return the cells of a number between -1 and 1 with half of its interval, which lies around it evenly."""
    if math.isnan(value):
        return absent(MEASURED)
    half = "" if math.isnan(low) else share((high - low) / 2)
    return with_half(share(value, signed=signed), half, bold=share(value) == share(best))


def decimals(values: "pd.Series[float]") -> int:
    """Return how many decimals show three digits of the largest of the values, of which NaN are none.

    >>> decimals(pd.Series([0.19, 0.02])), decimals(pd.Series([1.8])), decimals(pd.Series([1234.5]))
    (3, 2, 0)
    """
    largest = values.abs().max()
    return 0 if math.isnan(largest) or largest == 0 else max(2 - math.floor(math.log10(largest)), 0)


def fixed(value: float, places: int) -> str:
    """Return a number with so many decimals, commas between thousands and no leading zero.

    >>> fixed(0.1844, 3), fixed(1234.5, 0), fixed(0.0, 0)
    ('.184', '1,234', '0')
    """
    text = f"{value:,.{places}f}"
    return text.removeprefix("0") if places else text


def _over(text: str, cells: int) -> str:
    return text if cells == 1 else rf"\multicolumn{{{cells}}}{{c}}{{{text}}}"


def _mathematics(text: str, *, bold: bool) -> str:
    if not text:
        return ""
    return rf"$\mathbf{{{_tight(text)}}}$" if bold else f"${_tight(text)}$"


def _tight(text: str) -> str:
    """Return a number as mathematics without the space that commas and relations would bring."""
    return re.sub("([,<>=])", r"{\1}", text)

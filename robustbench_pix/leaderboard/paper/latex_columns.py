"""Tables of numbers in LaTeX, aligned at the decimal point; no package but booktabs is needed.

A number takes two columns of a tabular, what stands before its point and the rest, so that points lie below each other
whatever the font, a sign or bold letters do; what belongs to a number, such as its interval, takes a third.
"""

import re
from collections.abc import Sequence
from typing import NamedTuple

from robustbench_pix.leaderboard.display import Cell
from robustbench_pix.leaderboard.paper import latex

TEXT, WHOLE, NUMBER, MEASURED = "l", "r", "r@{}l", "r@{}l@{}l"
"""Layouts of a column: text; a number as a whole, perhaps with half of its interval; a number aligned at its point;
and such a number with its interval."""

CELLS = {TEXT: 1, WHOLE: 1, NUMBER: 2, MEASURED: 3}


class Column(NamedTuple):
    """A column as a reader sees it: its heading, which is LaTeX already, and its layout."""

    heading: str
    layout: str = NUMBER


def table(
    caption: str,
    name: str,
    columns: Sequence[Column],
    body: Sequence[Sequence[Cell]],
    *,
    groups: Sequence[tuple[str, int]] = (),
) -> str:
    """Return a table over both columns of a page.

    Args:
        caption: What stands above it, as LaTeX.
        name: What it is referred to by.
        columns: From left to right.
        body: A cell a column in each line; a line of one is a heading over all columns, or a gap where that is empty.
        groups: Headings above those of the columns, with how many columns each is of; "" leaves them without.
    """
    widths = [CELLS[column.layout] for column in columns]
    head = [_joined([_over(column.heading, width) for column, width in zip(columns, widths, strict=True)])]
    if groups:
        above, rules, place = [], [], 0
        for heading, count in groups:
            first, last = 1 + sum(widths[:place]), sum(widths[: place + count])
            place += count
            above.append(_over(heading, last - first + 1))
            rules += [rf"\cmidrule(lr){{{first}-{last}}}"] if heading else []
        head = [_joined(above), " ".join(rules), *head]
    lines = [
        r"\begin{table*}",
        r"\centering\footnotesize\setlength{\tabcolsep}{4pt}",
        rf"\caption{{{caption}}}",
        rf"\label{{{name}}}",
        rf"\begin{{tabular}}{{{''.join(column.layout for column in columns)}}}",
        r"\toprule",
        *head,
        r"\midrule",
        *(_line(cells, columns, first=not place) for place, cells in enumerate(body)),
        r"\bottomrule",
        r"\end{tabular}",
        r"\end{table*}",
    ]
    return "\n".join(lines) + "\n"


def _line(cells: Sequence[Cell], columns: Sequence[Column], *, first: bool) -> str:
    if len(cells) > 1:
        return _joined([_written(cell, column.layout) for cell, column in zip(cells, columns, strict=True)])
    wide = sum(CELLS[column.layout] for column in columns)
    told = rf"\multicolumn{{{wide}}}{{l}}{{\emph{{{latex.escaped(cells[0].text)}}}}}{latex.LINE_END}"
    return " ".join([*([] if first else [r"\addlinespace"]), *([told] if cells[0].text else [])])


def _joined(cells: Sequence[str]) -> str:
    return " & ".join(cells) + latex.LINE_END


def _written(cell: Cell, layout: str) -> str:
    r"""Return a cell as the cells of a tabular.

    >>> _written(Cell("1,234.5", best=True), NUMBER), _written(Cell(".678", half=".017"), MEASURED)
    ('$\\mathbf{1{,}234}$ & $\\mathbf{.5}$', ' & $.678$ & $\\,\\pm\\,.017$')
    """
    if cell.words or layout == TEXT:
        text = r"\quad " * cell.indent + latex.escaped(cell.text)
        return _over(rf"\textbf{{{text}}}" if cell.best else text, CELLS[layout])
    half = _tight(cell.half)
    if layout == WHOLE:
        return f"${_tight(cell.text, bold=cell.best)}" + (rf" \pm {half}$" if half else "$")
    before, point, after = cell.text.partition(".")
    parts = [part and f"${_tight(part, bold=cell.best)}$" for part in (before, point + after)]
    interval = rf"$\,\pm\,{half}$" if half else ""
    interval = rf"$\;[{', '.join(map(_tight, cell.ends))}]$" if cell.ends else interval
    return " & ".join([*parts, interval][: CELLS[layout]])


def _over(text: str, cells: int) -> str:
    return text if cells == 1 else rf"\multicolumn{{{cells}}}{{c}}{{{text}}}"


def _tight(text: str, *, bold: bool = False) -> str:
    """Return a number as mathematics without the space that commas and relations would bring; e is a power of ten."""
    tight = re.sub("([,<>=])", r"{\1}", text)
    tight = re.sub("e(.+)", r" \\times 10^{\1}", tight)
    return rf"\mathbf{{{tight}}}" if bold else tight

"""Tables, texts and figures as LaTeX; a paper needs booktabs and graphicx.

A number takes two columns of a tabular, the part before its point and the rest, so that points lie below each other
whatever the font, a sign or bold letters do; its interval takes a third.
"""

import re
import textwrap
from collections.abc import Iterable, Sequence
from itertools import groupby

from robustbench_pix.leaderboard.captions import STRENGTHS, attack_name
from robustbench_pix.leaderboard.display import Cell
from robustbench_pix.leaderboard.display_table import Column, DisplayTable

LINE_END = r" \\"
SPECIAL = {
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    "[": "{[}",  # after the end of a row a bracket would be read as an option of it
    "±": r"$\pm$",
    "–": "--",
    "·": r"$\cdot$",
    **{mark: f"\\{mark}" for mark in "&%$#_{}"},
}

TEXT, WHOLE, NUMBER, MEASURED = "l", "r", "r@{}l", "r@{}l@{}l"
"""Layouts of a column: text; whole numbers; numbers aligned at their points; such numbers with their intervals."""

CELLS = {TEXT: 1, WHOLE: 1, NUMBER: 2, MEASURED: 3}

PAGE_POINTS, CHARACTER_POINTS, GAP_POINTS = 396, 4.3, 8
"""The width of a page's text, of a character in footnote size, and of the gap between two columns."""

HEADING_WIDTH = 12
"""Characters of a line of a heading."""


def escaped(text: str) -> str:
    r"""Return a text in which no character means anything to LaTeX.

    >>> print(escaped("a_b: 100% [c]"))
    a\_b: 100\% {[}c]
    """
    return "".join(SPECIAL.get(character, character) for character in text)


def kind_name(kind: str) -> str:
    """Return the name of a kind of perturbation size."""
    return STRENGTHS.get(kind) or escaped(kind)


def label(*parts: object) -> str:
    """Return a label of letters, digits and hyphens.

    >>> label("tab", "salt-and-pepper", "cifar10:natural")
    'tab:salt-and-pepper-cifar10-natural'
    """
    kind, *rest = (re.sub(r"[^A-Za-z0-9]+", "-", str(part)).strip("-") for part in parts)
    return f"{kind}:{'-'.join(rest)}"


def figure(caption: str, name: str, file: str, *, both_columns: bool) -> str:
    """Return a figure that shows a file; the caption is LaTeX already."""
    kind = "figure*" if both_columns else "figure"
    lines = [rf"\begin{{{kind}}}", r"\centering", rf"\includegraphics{{{file}}}"]
    return "\n".join([*lines, rf"\caption{{{caption}}}", rf"\label{{{name}}}", rf"\end{{{kind}}}", ""])


def tables(table: DisplayTable, caption: str, name: str) -> str:
    """Return a table over both columns of a page, or several where its columns do not fit beside each other.

    Args:
        table: The table; its own caption and notes are left to ``caption``.
        caption: The caption, LaTeX already.
        name: The label; from the second table on it is numbered.
    """
    parts = table.split([_points(column) for column in table.columns], PAGE_POINTS)
    return "\n".join(
        _table(part, caption, name if not place else f"{name}-{place + 1}") for place, part in enumerate(parts)
    )


def _points(column: Column) -> float:
    def characters(cell: Cell) -> int:
        return len(cell.text) + len(cell.half) + 2 * bool(cell.half) + sum(len(end) + 2 for end in cell.ends)

    longest = max([*map(len, _heading(column)), *map(characters, column.cells)])
    return CHARACTER_POINTS * longest + GAP_POINTS


def _table(table: DisplayTable, caption: str, name: str) -> str:
    layouts = [_layout(column) for column in table.columns]
    rows = []
    for place, cells in enumerate(table.lines):
        if (section := table.sections.get(place)) is not None:
            rows += [r"\addlinespace"] * (place > 0)
            wide = sum(CELLS[layout] for layout in layouts)
            rows += [rf"\multicolumn{{{wide}}}{{l}}{{\emph{{{escaped(section)}}}}}{LINE_END}"] * bool(section)
        rows.append(_joined(map(_written, cells, layouts)))
    lines = [
        r"\begin{table*}",
        r"\centering\footnotesize\setlength{\tabcolsep}{4pt}",
        rf"\caption{{{caption}}}",
        rf"\label{{{name}}}",
        rf"\begin{{tabular}}{{{''.join(layouts)}}}",
        r"\toprule",
        *_groups(table.columns, layouts),
        _joined(_over(_stacked(_heading(it)), CELLS[of]) for it, of in zip(table.columns, layouts, strict=True)),
        r"\midrule",
        *rows,
        r"\bottomrule",
        r"\end{tabular}",
        r"\end{table*}",
    ]
    return "\n".join(lines) + "\n"


def _layout(column: Column) -> str:
    """Return the narrowest layout that holds all cells."""
    numbers = [cell for cell in column.cells if not cell.words]
    if column.text:
        return TEXT
    if any(cell.half or cell.ends for cell in numbers):
        return MEASURED
    return NUMBER if any("." in cell.text for cell in numbers) else WHOLE


def _heading(column: Column) -> list[str]:
    lines = [*textwrap.wrap(attack_name(column.attack), HEADING_WIDTH), *column.heading]
    return [line for line in lines if line] or [""]


def _stacked(lines: Sequence[str]) -> str:
    text = LINE_END.join(map(escaped, lines))
    return text if len(lines) == 1 else rf"\shortstack[r]{{{text}}}"


def _groups(columns: Sequence[Column], layouts: Sequence[str]) -> list[str]:
    """Return the line of headings over several columns, and the rules below it; nothing without such headings."""
    if not any(column.group for column in columns):
        return []
    above, rules, last = [], [], 0
    for heading, of in groupby(zip(columns, layouts, strict=True), key=lambda pair: pair[0].group):
        wide = sum(CELLS[layout] for _, layout in of)
        above.append(_over(escaped(heading), wide))
        rules += [rf"\cmidrule(lr){{{last + 1}-{last + wide}}}"] * bool(heading)
        last += wide
    return [_joined(above), " ".join(rules)]


def _joined(cells: Iterable[str]) -> str:
    return " & ".join(cells) + LINE_END


def _written(cell: Cell, layout: str) -> str:
    r"""Return a cell as the cells of a tabular.

    >>> _written(Cell("1,234.5", best=True), NUMBER), _written(Cell(".678", half=".017"), MEASURED)
    ('$\\mathbf{1{,}234}$ & $\\mathbf{.5}$', ' & $.678$ & $\\,\\pm\\,.017$')
    """
    if cell.words or layout == TEXT:
        text = r"\quad " * cell.indent + escaped(cell.text)
        return _over(rf"\textbf{{{text}}}" if cell.best else text, CELLS[layout])
    if layout == WHOLE:
        return f"${_tight(cell.text, bold=cell.best)}$"
    before, point, after = cell.text.partition(".")
    parts = [part and f"${_tight(part, bold=cell.best)}$" for part in (before, point + after)]
    interval = rf"$\,\pm\,{_tight(cell.half)}$" if cell.half else ""
    interval = rf"$\;[{', '.join(map(_tight, cell.ends))}]$" if cell.ends else interval
    return " & ".join([*parts, interval][: CELLS[layout]])


def _over(text: str, cells: int) -> str:
    return text if cells == 1 else rf"\multicolumn{{{cells}}}{{c}}{{{text}}}"


def _tight(text: str, *, bold: bool = False) -> str:
    """Return a number as mathematics without the space that commas and relations would bring; e is a power of ten."""
    tight = re.sub("([,<>=])", r"{\1}", text)
    tight = re.sub("e(.+)", r" \\times 10^{\1}", tight)
    return rf"\mathbf{{{tight}}}" if bold else tight

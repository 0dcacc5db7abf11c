"""LaTeX tables back as a reader sees them: captions, and cells by the headings of their columns."""

import re
from typing import NamedTuple

import pytest

from robustbench_pix.leaderboard.display_table import settings_of
from robustbench_pix.leaderboard.paper.tex_files import setting_table
from robustbench_pix.leaderboard.recipe_tables import leaderboard_table
from tests.tables import beside

LAYOUTS = re.compile(r"r@\{\}l@\{\}l|r@\{\}l|[lr]")
TABLE = re.compile(
    r"\\begin\{table\*\}.*?\\caption\{(?P<caption>.*?)\}\n\\label\{(?P<label>.*?)\}\n\\begin\{tabular\}\{(?P<layout>.*?)\}\n"
    r"\\toprule\n(?P<head>.*?)\\midrule\n(?P<body>.*?)\\bottomrule",
    re.DOTALL,
)


class Read(NamedTuple):
    """A table: each line of the body has as many cells as there are columns, or is one text over all of them."""

    caption: str
    label: str
    above: list[str]
    headings: list[str]
    lines: list[list[str]]
    raw: list[list[str]]

    def by_name(self, heading=""):
        """Return the cells of each line by their headings, by the cell below ``heading`` or the first; no indents."""
        found = [dict(zip(self.headings, line, strict=True)) for line in self.lines if len(line) > 1]
        return {line[heading or self.headings[0]]: line for line in found}


def read(text):
    """Return the tables of a LaTeX text, in their order."""
    return [_read(found) for found in TABLE.finditer(text)]


def value(cell):
    """Return the number that a cell begins with, and half of its interval or its ends."""
    first, *rest = re.split(r"±|\[", cell.rstrip("]"))
    rest = [float(number.replace(",", "")) for part in rest for number in part.split(", ")]
    return (float(first.strip("*=<> ").replace(",", "")), *rest)


def leaderboard_tables(leaderboard, measured):
    """Return the LaTeX of the leaderboards of all settings."""
    aucs = beside(measured, leaderboard)[0]
    return "\n".join(
        setting_table(setting, leaderboard_table(setting, aucs), "leaderboard")
        for setting in settings_of(leaderboard, measured)
    )


def close(text, *wanted, decimals=3):
    """Hold the numbers of a cell against those of the CSV file, to half of the last digit that is shown."""
    return value(text) == pytest.approx(wanted, abs=0.5001 * 10.0**-decimals)


def _read(found):
    layouts = LAYOUTS.findall(found["layout"])
    assert "".join(layouts) == found["layout"]
    widths = [sum(letter in "lr" for letter in layout) for layout in layouts]
    raw = [_split(line) for line in found["body"].strip().splitlines()]
    lines = [_columns(cells, widths) for cells in raw if cells is not None]
    *above, head = map(_split, [line for line in found["head"].strip().splitlines() if "cmidrule" not in line])
    over = [_plain(text) for cells in above for text, _ in cells]
    return Read(found["caption"], found["label"], over, _columns(head, widths), lines, [row for row in raw if row])


def _split(line):
    """Return (text, columns of the tabular that it takes) for each cell of a line."""
    if line == r"\addlinespace":
        return None
    assert line.endswith(r" \\"), line
    cells = re.split(r"(?<!\\)(?: |^)&(?: |$)", line.removeprefix(r"\addlinespace ").removesuffix(r" \\"))
    parts = [re.fullmatch(r"\\multicolumn\{(\d+)\}\{\w\}\{(.*)\}", cell.strip()) for cell in cells]
    return [(part[2], int(part[1])) if part else (cell.strip(), 1) for cell, part in zip(cells, parts, strict=True)]


def _columns(cells, widths):
    """Return one text a column; of a line over all columns that text alone."""
    total = sum(width for _, width in cells)
    assert total == sum(widths), (cells, widths)
    if len(cells) == 1:
        return [_plain(cells[0][0])]
    columns, place = [], 0
    for width in widths:
        taken, text = 0, ""
        while taken < width:
            text += cells[place][0]
            taken += cells[place][1]
            place += 1
        assert taken == width, cells
        columns.append(_plain(text))
    return columns


def _plain(text):
    """Return a cell without marks of LaTeX: bold numbers between stars, and ± before half an interval."""
    text = re.sub(r"\\(?:mathbf|textbf)\{((?:[^{}]|\{.\})*)\}", r"*\1*", text)
    text = re.sub(r"\\shortstack\[r\]\{(.*)\}", lambda found: found[1].replace(" \\\\", " "), text)
    text = text.replace("$", "").replace("**", "").replace(r"\quad ", "")
    text = text.replace(r"\,\pm\,", "±").replace(r"\;[", "[")
    text = re.sub(r"\{([,<>=])\}", r"\1", text)
    return re.sub(r"\\emph\{(.*)\}", r"\1", text)

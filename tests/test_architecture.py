"""Imports point down the floors of docs/architecture.md, wherever they stand in a file, and close no circle."""

import ast
import re
from graphlib import TopologicalSorter
from pathlib import Path

ROOT = Path(__file__).parent.parent
PACKAGE = "robustbench_pix"
LONGEST = 300
"""Lines of a file."""


def modules() -> dict[str, Path]:
    """Return the files of the package by the names of their modules."""
    files = sorted((ROOT / PACKAGE).rglob("*.py"))
    return {".".join(file.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): file for file in files}


def imports() -> dict[str, set[str]]:
    """Return the modules of the package that each module imports, the package itself left out."""
    found, known = {}, modules()
    for name, file in known.items():
        nodes = [node for node in ast.walk(ast.parse(file.read_text())) if isinstance(node, ast.ImportFrom)]
        named = {(f"{node.module}.{alias.name}", node.module) for node in nodes for alias in node.names}
        found[name] = {full if full in known else module for full, module in named if module in known} - {PACKAGE}
    return found


def floors() -> dict[str, int]:
    """Return the floor of each folder or module that the page names, counted from the top."""
    page = (ROOT / "docs/architecture.md").read_text()
    block = re.search(r"## Floors\n.*?```text\n(.*?)```", page, re.DOTALL)[1]
    return {name: floor for floor, line in enumerate(block.splitlines()) for name in re.findall(r"\w+", line)}


def test_imports_point_down():
    floor = floors()
    assert {"cli", "results", "attacks", "errors"} <= set(floor)
    arrows = [(one, other) for one, others in imports().items() for other in others]
    folders = [(one, other, *(name.split(".")[1] for name in (one, other))) for one, other in arrows if "." in one]
    placed = [arrow for arrow in folders if arrow[2] != arrow[3] and {arrow[2], arrow[3]} <= set(floor)]
    assert len(placed) > 100
    assert [f"{one} imports {other}" for one, other, high, low in placed if floor[high] > floor[low]] == []


def test_there_is_no_circle():
    assert len(list(TopologicalSorter(imports()).static_order())) > 100


def test_no_file_is_too_long():
    lines = {name: len(file.read_text().splitlines()) for name, file in modules().items()}
    assert {name: count for name, count in lines.items() if count > LONGEST} == {}

"""Tables on the terminal, and the same numbers as JSON and Markdown in a folder of results."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path

import torch
from rich.console import Console
from rich.table import Table as Drawn

from benchmarks.machine import ROOT, facts

RESULTS = ROOT / "benchmarks" / "results"
Value = str | int | float | None
Row = Mapping[str, Value]


@dataclass(frozen=True)
class Table:
    """Rows with the same columns; a column's name states its unit. ``note`` says how to read it."""

    title: str
    note: str
    rows: list[Row]


@dataclass
class Report:
    """The tables of one script on one device.

    Each is shown as soon as it is added, and both files are written anew, so that a run that is cut short leaves what
    it has measured.
    """

    script: str
    device: str
    folder: Path
    conditions: str
    tables: list[Table] = field(default_factory=list)

    def add(self, table: Table) -> None:
        """Show a table, and write all so far to ``<script>-<kind of device>.json`` and ``.md``."""
        self.tables.append(table)
        Console(width=160).print(_drawn(table), f"[dim]{table.note}[/dim]\n", sep="\n")
        self.folder.mkdir(parents=True, exist_ok=True)
        path = self.folder / f"{self.script}-{torch.device(self.device).type}"
        where = facts(self.device)
        content = {"machine": where, "conditions": self.conditions, "tables": [asdict(table) for table in self.tables]}
        path.with_suffix(".json").write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
        lines = [f"# {self.script} on {where['device']}", "", self.conditions, ""]
        lines += [f"- {name}: {value}" for name, value in where.items() if value is not None]
        path.with_suffix(".md").write_text("\n".join([*lines, *map(markdown, self.tables)]) + "\n", encoding="utf-8")


def shown(value: Value) -> str:
    """Return a value with three significant digits where it is no whole number.

    >>> shown(0.012345), shown(1234.5), shown(7), shown(None)
    ('0.0123', '1,234', '7', '')
    """
    if value is None:
        return ""
    if isinstance(value, float):
        return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"
    return f"{value:,}" if isinstance(value, int) else value


def _drawn(table: Table) -> Drawn:
    drawn = Drawn(title=table.title, title_justify="left")
    for name in table.rows[0]:
        drawn.add_column(name, justify="left" if isinstance(table.rows[0][name], str) else "right")
    for row in table.rows:
        drawn.add_row(*map(shown, row.values()))
    return drawn


def markdown(table: Table) -> str:
    """Return a table with its title and its note."""
    names = list(table.rows[0])
    lines = [f"\n## {table.title}\n", "| " + " | ".join(names) + " |", "|" + "---|" * len(names)]
    lines += ["| " + " | ".join(map(shown, row.values())) + " |" for row in table.rows]
    return "\n".join([*lines, "", table.note])

"""The table of ``rbp doctor --attacks``: a row for each attack, a column for each property."""

from collections.abc import Iterable, Sequence
from typing import Any

import rich_click as click
from rich.console import Console
from rich.progress import track
from rich.table import Table
from rich.text import Text

from robustbench_pix.catalogue.workspace import Workspace
from robustbench_pix.cli.output import write_rows

COLOURS = {"passes": "green", "-": "dim", "known": "yellow", "FAILS": "bold red"}
SIGNS = {"passes": "yes", "-": "-", "known": "known", "FAILS": "FAILS"}


def write_certificates(workspace: Workspace, names: Sequence[str], style: str) -> bool:
    """Certify attacks and write what was found; return whether nothing fails that is not known."""
    from robustbench_pix.conformance.certificate import Finding, certify

    specs = [workspace.attack(name) for name in names]
    certificates: dict[str, list[Finding]] = {}
    console = Console(stderr=True)
    for spec in track(specs, "attacks", console=console, transient=True, disable=not console.is_terminal):
        certificates[spec.name] = certify(spec)
    if style == "table":
        _write_table(certificates)
    else:
        rows = [
            {"attack": name, "property": one.property, "state": one.state, "details": one.details}
            for name, findings in certificates.items()
            for one in findings
        ]
        write_rows(rows, style)
    return not any(one.state == "FAILS" for findings in certificates.values() for one in findings)


def _write_table(certificates: dict[str, list[Any]]) -> None:
    from robustbench_pix.conformance.properties import PROPERTIES

    console = Console()
    wide = max(map(len, certificates)) + sum(len(name) + 1 for name in PROPERTIES) <= console.width
    console.print(_every_property(certificates, PROPERTIES) if wide else _counts(certificates))
    for attack, findings in certificates.items():
        for details in dict.fromkeys(one.details for one in findings if one.details):
            of = [one for one in findings if one.details == details]
            where = ", ".join(one.property for one in of)
            console.print(Text(f"{attack}: {where}: ", style=COLOURS[of[0].state]) + Text(f"{details}"))
    states = [one.state for findings in certificates.values() for one in findings]
    counts = f"{states.count('passes')} pass, {states.count('known')} are known defects, {states.count('FAILS')} fail"
    click.echo(f"{len(certificates)} attacks, {len(states) - states.count('-')} properties: {counts}.")


def _every_property(certificates: dict[str, list[Any]], properties: Iterable[str]) -> Table:
    table = Table("attack", *properties, box=None, padding=(0, 1, 0, 0), pad_edge=False)
    for attack, findings in certificates.items():
        table.add_row(attack, *(Text(SIGNS[one.state], style=COLOURS[one.state]) for one in findings))
    return table


def _counts(certificates: dict[str, list[Any]]) -> Table:
    """Return a narrow table: how many properties hold, and the names of those that do not."""
    table = Table("attack", "hold", "known", "FAILS", box=None, padding=(0, 2, 0, 0), pad_edge=False)
    for attack, findings in certificates.items():
        names = {state: [one.property for one in findings if one.state == state] for state in COLOURS}
        held = f"{len(names['passes'])} of {len(findings) - len(names['-'])}"
        broken = (Text(" ".join(names[state]) or "-", style=COLOURS[state]) for state in ("known", "FAILS"))
        table.add_row(attack, held, *broken)
    return table

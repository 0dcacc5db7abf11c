"""``rbp doctor``: check this machine, this workspace and, on request, the attacks."""

import os
import platform
import shutil
import tempfile
from collections.abc import Callable, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Literal, NamedTuple

import rich_click as click
from rich.console import Console
from rich.progress import track
from rich.text import Text

from robustbench_pix import __version__
from robustbench_pix.catalogue.workspace import FOLDERS, Workspace
from robustbench_pix.cli.options import cluster_option, data_root_option, format_option, workspace_option
from robustbench_pix.cli.output import write_rows
from robustbench_pix.errors import UserError
from robustbench_pix.foreign import lent_to_others

LIBRARIES = ("torch", "torchvision", "foolbox", "adversarial-robustness-toolbox", "numpy", "pandas", "scikit-learn")
COLOURS = {"passes": "green", "-": "dim", "known": "yellow", "FAILS": "bold red"}
SIGNS = {"passes": "yes", "-": "-", "known": "known", "FAILS": "FAILS"}


@click.command()
@click.argument("names", nargs=-1, metavar="[NAME]...")
@click.option("--attacks", is_flag=True, help="Run the attack conformance tests, on all attacks or on those named.")
@cluster_option
@data_root_option
@workspace_option
@format_option
@click.pass_context
def doctor(
    context: click.Context,
    names: tuple[str, ...],
    attacks: bool,
    cluster: Path | None,
    data_root: Path | None,
    workspace: Workspace,
    style: str,
) -> None:
    """Check this machine and this workspace: libraries, devices, data, catalogue, disk. Exit with 1 if a check fails.

    With --cluster each worker of a cluster is checked in their place: versions, device, data, time of a round trip.

    \b
    Examples:
    $ rbp doctor
    $ rbp doctor --cluster slurm.toml
    $ rbp doctor --attacks boundary square
    """
    if attacks:
        if not write_certificates(workspace, names or tuple(workspace.names("attacks")), style):
            context.exit(1)
        return
    if names:
        raise click.UsageError("Names belong to --attacks.", context)
    if cluster is not None:
        from robustbench_pix.data.base import default_root
        from robustbench_pix.runs.cluster.report import examine_cluster
        from robustbench_pix.runs.job_log import LOGS

        root = (data_root or default_root()).expanduser().absolute()
        checks = [Check(*row) for row in examine_cluster(cluster, workspace.root / LOGS, root)]
    else:
        checks = examine(workspace, data_root)
    write_rows([check._asdict() for check in checks], style)
    if any(check.state == "fails" for check in checks):
        context.exit(1)


class Check(NamedTuple):
    """The outcome of one check; ``absent`` data and devices are no failure."""

    what: str
    state: Literal["works", "absent", "fails"]
    details: str


def examine(workspace: Workspace, data_root: Path | None) -> list[Check]:
    """Check the libraries, the devices, the catalogue, the data sets, the recordings and the disk."""
    python = Check("python", "works", f"{platform.python_version()} on {platform.platform()}")
    return [
        Check("robustbench_pix", "works", __version__),
        python,
        *(_library(name) for name in LIBRARIES),
        _attempt("import torch", _torch),
        _attempt("import torchvision", _import("torchvision")),
        _attempt("import foolbox", _import("robustbench_pix.attacks.libraries.foolbox_adapter", "foolbox")),
        _attempt("import art", _import("art.attacks.evasion")),
        *_catalogue(workspace),
        *_datasets(data_root),
        _attempt("workspace", lambda: _disk(workspace)),
    ]


def _attempt(what: str, look: Callable[[], str]) -> Check:
    try:
        return Check(what, "works", look())
    except Exception as error:
        return Check(what, "fails", f"{type(error).__name__}: {error}")


def _library(name: str) -> Check:
    try:
        return Check(name, "works", version(name))
    except PackageNotFoundError:
        return Check(name, "fails", f"not installed; pip install {name}")


def _import(*modules: str) -> Callable[[], str]:
    def look() -> str:
        for module in modules:
            __import__(module)
        return "imports"

    return look


def _torch() -> str:
    import torch

    cuda = [torch.cuda.get_device_name(index) for index in range(torch.cuda.device_count())]
    mps = ["Apple GPU (mps)"] if torch.backends.mps.is_available() else []
    return ", ".join([f"cpu with {os.cpu_count()} cores", *cuda, *mps])


def _catalogue(workspace: Workspace) -> list[Check]:
    """Read every catalogue file."""
    findings = []
    for kind, folder in FOLDERS.items():
        names, wrong = workspace.names(folder), []
        for name in names:
            try:
                getattr(workspace, kind)(name)
            except UserError as error:
                wrong.append(str(error))
        state: Literal["works", "fails"] = "fails" if wrong else "works"
        findings.append(Check(folder, state, " ".join(wrong) or f"{len(names)}: {', '.join(names)}"))
    return findings


def _datasets(data_root: Path | None) -> list[Check]:
    from robustbench_pix.data.base import FOLDERS_OF_DATASETS, default_root

    root = data_root or default_root()
    findings = [
        Check("data root", "works" if root.is_dir() else "absent", str(root)),
        Check("data set digits", "works", "comes with scikit-learn"),
    ]
    for name, folder in FOLDERS_OF_DATASETS.items():
        there = (root / folder).is_dir()
        mend = "put pictures there" if name == "natural" else "a run downloads it"
        details = f"{folder} below the data root" if there else f"no {folder} below the data root; {mend}"
        findings.append(Check(f"data set {name}", "works" if there else "absent", details))
    return [*findings, *_recordings(root)]


def _recordings(root: Path) -> list[Check]:
    """Look for the files of the recordings that come as sets of images."""
    from robustbench_pix.data.kriegeskorte import FILES, HUMAN_FILES, SOURCE, recording_file
    from robustbench_pix.data.v4 import COUNT_FILES, IMAGE_FILES
    from robustbench_pix.data.v4 import SOURCE as V4_SOURCE

    findings = []
    for name, source, needed, optional in (
        ("kriegeskorte92", SOURCE, (FILES,), (HUMAN_FILES,)),
        ("v4", V4_SOURCE, (IMAGE_FILES, COUNT_FILES), ()),
    ):
        try:
            found = [recording_file(root, names, source) for names in needed]
            found += [recording_file(root, names, None) for names in optional]
            files = " and ".join(file.relative_to(root).as_posix() for file in found if file)
            findings.append(Check(f"recording {name}", "works", f"{files} below the data root"))
        except UserError as error:
            findings.append(Check(f"recording {name}", "absent", str(error)))
    return findings


def _disk(workspace: Workspace) -> str:
    place = workspace.root.resolve()
    with tempfile.TemporaryFile(dir=place):
        free = shutil.disk_usage(place).free
    return f"{place} can be written, {free / 1e9:.0f} GB free"


def write_certificates(workspace: Workspace, names: Sequence[str], style: str) -> bool:
    """Certify attacks and write what was found; return whether nothing fails that is not known."""
    from robustbench_pix.conformance.certificate import certify

    specs = [workspace.attack(name) for name in names]
    certificates: dict[str, list[Any]] = {}
    console = Console(stderr=True)
    for spec in track(specs, "attacks", console=console, transient=True, disable=not console.is_terminal):
        with lent_to_others():
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
    from robustbench_pix.conformance.certificate import PROPERTIES
    from robustbench_pix.leaderboard.display import Cell
    from robustbench_pix.leaderboard.display_table import Column, DisplayTable
    from robustbench_pix.leaderboard.terminal.rich_tables import rich_tables

    console = Console()
    of = [{one.property: one.state for one in findings} for findings in certificates.values()]
    columns = [Column(("attack",), tuple(Cell(attack, words=True) for attack in certificates), text=True)]
    columns += [
        Column((name,), tuple(Cell(SIGNS[states[name]], words=True, style=COLOURS[states[name]]) for states in of))
        for name in PROPERTIES
    ]
    for table in rich_tables(DisplayTable(tuple(columns)), console.width):
        console.print(table, "", sep="\n")
    for attack, findings in certificates.items():
        for details in dict.fromkeys(one.details for one in findings if one.details):
            alike = [one for one in findings if one.details == details]
            where = ", ".join(one.property for one in alike)
            console.print(Text(f"{attack}: {where}: ", style=COLOURS[alike[0].state]) + Text(f"{details}"))
    states = [one.state for findings in certificates.values() for one in findings]
    counts = f"{states.count('passes')} pass, {states.count('known')} are known defects, {states.count('FAILS')} fail"
    click.echo(f"{len(certificates)} attacks, {len(states) - states.count('-')} properties: {counts}.")

"""``rbp models``, ``attacks``, ``suites`` and ``tasks``: what the catalogue holds. Runs no code of an entry."""

from shutil import get_terminal_size
from typing import Any

import rich_click as click

from robustbench_pix.attacks.engines import KNOWN_DEFECTS, engine_of
from robustbench_pix.catalogue.specs import CatalogueSpec
from robustbench_pix.catalogue.workspace import FOLDERS, SHIPPED, Workspace
from robustbench_pix.cli.options import format_option, workspace_option
from robustbench_pix.cli.output import write_rows

ENGINE_FITS = 80
"""Characters of a terminal that shows the engine of each attack."""


@click.command()
@workspace_option
@format_option
def models(workspace: Workspace, style: str) -> None:
    """List the recipes: what each adds to training.

    \b
    Example:
    $ rbp models --format markdown
    """
    rows = []
    for name in workspace.names("models"):
        spec = workspace.recipe(name)
        rows.append(
            {
                "recipe": name,
                "controls": spec.controls or "",
                "regularizer": spec.regularizer or "none",
                "parameters": spec.parameters,
                "from": _place(spec),
                "summary": spec.summary,
            }
        )
    write_rows(rows, style, narrow=("recipe", "controls", "summary"))


@click.command()
@click.option(
    "--engine",
    metavar="ENGINE",
    type=click.Choice(["foolbox", "art", "own"]),
    help="List what an entry can name instead: the classes of foolbox or art, or our own.",
)
@workspace_option
@format_option
def attacks(engine: str | None, workspace: Workspace, style: str) -> None:
    """List the attacks: what each may see, and what is known against its engine.

    \b
    Example:
    $ rbp attacks --format json
    $ rbp attacks --engine foolbox
    """
    if engine == "own":
        from robustbench_pix.attacks.own_attacks import nameable_of_ours

        write_rows(nameable_of_ours(), style)
        return
    if engine:
        from robustbench_pix.attacks.engine_signatures import nameable

        named = nameable(engine)
        write_rows([_in_short(row) for row in named] if style == "table" else named, style)
        return
    rows = []
    for name in workspace.names("attacks"):
        spec = workspace.attack(name)
        defect = KNOWN_DEFECTS.get(spec.attack)
        rows.append(
            {
                "attack": name,
                "access": spec.access,
                "strength": spec.strength,
                "engine": engine_of(spec.attack) or "own",
                "from": _place(spec),
                "summary": spec.summary,
                "known_defect": defect.reason if defect else "",
            }
        )
    engine_column = ["engine"] if get_terminal_size().columns >= ENGINE_FITS else []
    write_rows(rows, style, narrow=("attack", "access", *engine_column, "strength", "summary"))


@click.command()
@workspace_option
@format_option
def suites(workspace: Workspace, style: str) -> None:
    """List the suites: versioned lists of attacks under one protocol.

    \b
    Example:
    $ rbp suites
    """
    rows = []
    for name in workspace.names("attacks/suites"):
        spec = workspace.suite(name)
        rows.append(
            {
                "suite": name,
                "version": spec.version,
                "protocol": spec.protocol,
                "from": _place(spec),
                "attacks": list(spec.attacks),
                "summary": spec.summary,
            }
        )
    write_rows(rows, style, narrow=("suite", "attacks", "summary"))


@click.command()
@workspace_option
@format_option
def tasks(workspace: Workspace, style: str) -> None:
    """List the tasks: data sets with their training protocols. A combination is TASK:IMAGES.

    \b
    Example:
    $ rbp tasks
    """
    rows = []
    for name in workspace.names("models/tasks"):
        spec = workspace.task(name)
        rows.append(
            {
                "task": name,
                "dataset": spec.dataset,
                "network": spec.network,
                "epochs": spec.training.epochs,
                "sizes": ["full", *spec.sizes],
                "from": _place(spec),
                "summary": spec.summary,
            }
        )
    write_rows(rows, style, narrow=("task", "network", "sizes", "summary"))


def _in_short(row: dict[str, Any]) -> dict[str, Any]:
    """Return a class in three columns, which fit beside the longest names."""
    known = [row["known_defect"]] if row["known_defect"] else []
    stated = {key: value for key, value in row["parameters"].items() if not row["known_defect"].startswith("refused")}
    return {
        "class": row["class"].partition(":")[2],
        "needs": [row["access"], *row["strength"]] if row["access"] else [],
        "parameters and what is known": "; ".join(
            [", ".join(f"{key} = {value}" for key, value in stated.items())] * bool(stated) + known
        ),
    }


def _place(spec: CatalogueSpec) -> str:
    shipped = {(SHIPPED / folder).resolve() for folder in FOLDERS.values()}
    return "package" if spec.folder.resolve() in shipped else "workspace"

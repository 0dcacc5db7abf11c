"""``rbp recipes``, ``attacks``, ``suites`` and ``tasks``: what the catalogue holds. Runs no code of an entry."""

from shutil import get_terminal_size
from typing import Any

import rich_click as click

from robustbench_pix.attacks.libraries.classes import KNOWN_DEFECTS, engine_of
from robustbench_pix.catalogue.specs import THREATS, CatalogueSpec, SuiteSpec
from robustbench_pix.catalogue.workspace import FOLDERS, SHIPPED, Workspace
from robustbench_pix.cli.options import listing_options
from robustbench_pix.cli.output import write_rows

ENGINE_FITS = 80
"""Characters of a terminal that shows the engine of each attack."""


@click.command()
@listing_options
def recipes(workspace: Workspace, style: str) -> None:
    """List the recipes: the regularizer that each adds to training. rbp models is an alias.

    \b
    Examples:
    $ rbp recipes
    $ rbp models --format markdown
    """
    rows = [
        {
            "recipe": name,
            "controls": spec.controls or "",
            "regularizer": spec.regularizer or "none",
            "parameters": spec.parameters,
            "from": _place(spec),
            "summary": spec.summary,
        }
        for name in workspace.names("models")
        for spec in [workspace.recipe(name)]
    ]
    write_rows(rows, style, narrow=("recipe", "controls", "summary"))


@click.command()
@click.option(
    "--engine",
    metavar="ENGINE",
    type=click.Choice(["foolbox", "art", "own"]),
    help="List what an attack file can name instead: the classes of foolbox or art, or this package's own attacks.",
)
@listing_options
def attacks(engine: str | None, workspace: Workspace, style: str) -> None:
    """List the attacks: their access, the unit of their strengths, and known issues.

    \b
    Examples:
    $ rbp attacks --format json
    $ rbp attacks --engine foolbox
    """
    if engine == "own":
        from robustbench_pix.attacks.libraries.signatures import nameable_of_ours

        write_rows(nameable_of_ours(), style)
        return
    if engine:
        from robustbench_pix.attacks.libraries.signatures import nameable

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
@listing_options
def suites(workspace: Workspace, style: str) -> None:
    """List the suites: versioned lists of attacks under one protocol, and the threat models that a mean AUC averages.

    \b
    Example:
    $ rbp suites
    """
    rows = [
        {
            "suite": name,
            "version": spec.version,
            "protocol": spec.protocol,
            "groups": _groups(spec, workspace),
            "from": _place(spec),
            "attacks": list(spec.attacks),
            "summary": spec.summary,
        }
        for name in workspace.names("attacks/suites")
        for spec in [workspace.suite(name)]
    ]
    write_rows(rows, style, narrow=("suite", "attacks", "summary"))


@click.command()
@listing_options
def tasks(workspace: Workspace, style: str) -> None:
    """List the tasks: data sets with their training protocols and sizes.

    \b
    Example:
    $ rbp tasks
    """
    rows = [
        {
            "task": name,
            "dataset": spec.dataset,
            "network": spec.network,
            "epochs": spec.training.epochs,
            "sizes": ["full", *spec.sizes],
            "from": _place(spec),
            "summary": spec.summary,
        }
        for name in workspace.names("models/tasks")
        for spec in [workspace.task(name)]
    ]
    write_rows(rows, style, narrow=("task", "network", "sizes", "summary"))


def _groups(suite: SuiteSpec, workspace: Workspace) -> list[str]:
    """Return the threat groups of a suite, in the order of its attacks; an attack that is nowhere has none."""
    accesses = (workspace.attack(name).access for name in suite.attacks if name in workspace.names("attacks"))
    return list(dict.fromkeys(THREATS[access] for access in accesses))


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

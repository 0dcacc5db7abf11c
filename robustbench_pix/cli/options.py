"""Options that several commands share."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import rich_click as click

from robustbench_pix.catalogue.workspace import Workspace

Command = Callable[..., Any]


def _workspace(context: click.Context, parameter: click.Parameter, value: Path) -> Workspace:
    return Workspace(value)


workspace_option = click.option(
    "--workspace",
    metavar="FOLDER",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path(),
    callback=_workspace,
    show_default="the current folder",
    help="The folder with models/, attacks/, runs/ and leaderboard/.",
)

format_option = click.option(
    "--format",
    "style",
    metavar="FORMAT",
    type=click.Choice(["table", "csv", "json", "markdown"]),
    default="table",
    show_default=True,
    help="table, csv, json or markdown.",
)

data_root_option = click.option(
    "--data-root",
    metavar="FOLDER",
    type=click.Path(path_type=Path, file_okay=False),
    show_default="RBP_DATA, else the user's cache folder",
    help="Where data sets lie, in torchvision's layout.",
)

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
    type=click.Path(path_type=Path, file_okay=False),
    default=Path(),
    callback=_workspace,
    help="The folder with models/, attacks/, runs/ and leaderboard/.  [default: the current folder]",
)

format_option = click.option(
    "--format",
    "style",
    type=click.Choice(["table", "csv", "json", "markdown"]),
    default="table",
    show_default=True,
    help="How to write the rows.",
)

data_root_option = click.option(
    "--data-root",
    type=click.Path(path_type=Path, file_okay=False),
    help="Where data sets lie, in torchvision's layout.  [default: RBP_DATA, else the user's cache folder]",
)

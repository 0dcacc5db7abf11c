"""Options that several commands share."""

from pathlib import Path

import rich_click as click

from robustbench_pix.catalogue.workspace import Workspace
from robustbench_pix.runs.request import DEFAULT_SUITE


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

suite_option = click.option(
    "--suite", metavar="NAME", default=DEFAULT_SUITE, show_default=True, help="The attacks to run."
)

size_option = click.option(
    "--size", metavar="NAME", default="full", show_default=True, help="A size of the task, such as small."
)

colour_option = click.option(
    "--colour",
    metavar="COLOUR",
    type=click.Choice(["gray", "rgb"]),
    show_default="the task's",
    help="gray or rgb: of the images.",
)

device_option = click.option(
    "--device", metavar="DEVICE", show_default="cuda where there is one", help="cpu, cuda, cuda:0 or mps."
)

executor_option = click.option(
    "--executor",
    metavar="WHERE",
    type=click.Choice(["processes", "inline"]),
    default="processes",
    show_default=True,
    help="Where jobs run: in processes of their own, or inline, one by one in this process.",
)

workers_option = click.option(
    "--workers",
    metavar="COUNT",
    type=click.IntRange(min=1),
    show_default="2 on a CPU, else one a GPU",
    help="How many processes.",
)


def chosen_root(data_root: Path | None) -> Path:
    """Return where data sets lie."""
    from robustbench_pix.data.base import default_root

    return data_root.expanduser() if data_root else default_root()


check_option = click.option(
    "--check-gradients/--no-check-gradients",
    default=None,
    show_default="as the suite says",
    help="Whether each model is also checked for masked gradients.",
)

"""Options that several commands share, and the run configuration that they state."""

import os
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path
from typing import Any, TypeVar, get_args

import rich_click as click

from robustbench_pix.catalogue.specs import Colour, Precision
from robustbench_pix.catalogue.workspace import Workspace
from robustbench_pix.runs.job_log import LEVEL, LEVELS
from robustbench_pix.runs.request import (
    DEFAULT_COMBINATIONS,
    DEFAULT_RECIPES,
    DEFAULT_SEEDS,
    EXECUTORS,
    Resources,
    RunConfig,
)

Command = TypeVar("Command", bound=Callable[..., Any])


def together(*options: Callable[[Command], Command]) -> Callable[[Command], Command]:
    """Return a decorator that gives a command these options, in this order."""

    def decorate(command: Command) -> Command:
        for option in reversed(options):
            command = option(command)
        return command

    return decorate


def configured(**stated: Any) -> tuple[RunConfig, Resources]:
    """Return the run configuration and the resources that options state.

    Raises:
        UserError: a name is unknown, or a text is none of its kind.
    """
    resources = Resources(**{field.name: stated.pop(field.name) for field in fields(Resources)})
    parse = RunConfig.for_external if "model" in stated else RunConfig.parse
    return parse(**stated), resources


def _workspace(context: click.Context, parameter: click.Parameter, value: Path) -> Workspace:
    return Workspace(value)


workspace_option = click.option(
    "--workspace", metavar="FOLDER", type=click.Path(path_type=Path, file_okay=False), default=Path(),
    callback=_workspace, show_default="the current folder",
    help="Folder with models/, attacks/, runs/ and leaderboard/.",
)  # fmt: skip

format_option = click.option(
    "--format", "style", metavar="FORMAT", type=click.Choice(["table", "csv", "json", "markdown"]), default="table",
    show_default=True, help="Output format: table, csv, json or markdown.",
)  # fmt: skip

data_root_option = click.option(
    "--data-root", metavar="FOLDER", type=click.Path(path_type=Path, file_okay=False),
    show_default="RBP_DATA, else the user's cache folder", help="Folder of the data sets, in torchvision's layout.",
)  # fmt: skip

suite_option = click.option(
    "--suite", metavar="NAME", default=RunConfig.suite, show_default=True, help="Suite of attacks."
)

recipe_option = click.option(
    "--recipe", "recipes", metavar="NAME", multiple=True, default=DEFAULT_RECIPES, show_default=True,
    help="Recipe to train with: a name, a list a,b, a pattern 'v1-*', or all. Repeatable.",
)  # fmt: skip

on_option = click.option(
    "--on", metavar="TASK:DATA", multiple=True, default=DEFAULT_COMBINATIONS, show_default=True,
    help="Task and regularization data; TASK alone means TASK:TASK. Repeatable.",
)  # fmt: skip

seeds_option = click.option(
    "--seeds", metavar="SEEDS", default=DEFAULT_SEEDS, show_default=True,
    help="Number of seeds, or a list of them: 3 means 0, 1, 2; 4,5 means these two; 4, means 4 alone.",
)  # fmt: skip

size_option = click.option(
    "--size", metavar="NAME", default=RunConfig.size, show_default=True, help="Size of the task, such as reduced."
)

colour_option = click.option(
    "--colour", metavar="COLOUR", type=click.Choice(get_args(Colour)), show_default="the task's",
    help="Colour of the images: gray or rgb.",
)  # fmt: skip

precision_option = click.option(
    "--precision", metavar="NAME", type=click.Choice(get_args(Precision)), default=RunConfig.precision,
    show_default=True,
    help="Precision of the training: float32, tf32 or bfloat16. Attacks are always judged in float32.",
)  # fmt: skip

check_option = click.option(
    "--check-gradients/--no-check-gradients", default=None, show_default="as the suite says",
    help="Check each model for gradient masking.",
)  # fmt: skip

device_option = click.option(
    "--device", metavar="DEVICE", show_default="cuda where there is one", help="Device: cpu, cuda, cuda:0 or mps."
)

executor_option = click.option(
    "--executor", metavar="WHERE", type=click.Choice(EXECUTORS), default=Resources.executor, show_default=True,
    help="Where jobs run: in worker processes, inline (one by one in this process), or on local workers of Dask.",
)  # fmt: skip

cluster_option = click.option(
    "--cluster", metavar="FILE", type=click.Path(path_type=Path, dir_okay=False),
    help="TOML file of a cluster whose workers do the jobs, such as Slurm's.",
)  # fmt: skip

workers_option = click.option(
    "--workers", metavar="COUNT", type=click.IntRange(min=1), show_default="2 on a CPU, else one a GPU",
    help="Number of worker processes.",
)  # fmt: skip


def _set_log_level(context: click.Context, parameter: click.Parameter, value: str | None) -> None:
    if value is not None:
        os.environ[LEVEL] = value


log_level_option = click.option(
    "--log-level", metavar="LEVEL", type=click.Choice(list(LEVELS)), envvar=LEVEL, show_default="info",
    expose_value=False, callback=_set_log_level,
    help="What the files in logs/ hold at least: debug, info, warning or error.",
)  # fmt: skip

resource_options = together(device_option, executor_option, workers_option, cluster_option, log_level_option)
listing_options = together(workspace_option, format_option)

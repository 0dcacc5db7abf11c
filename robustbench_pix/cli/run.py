"""``rbp run`` and ``rbp evaluate``: train and attack what is missing, and show the leaderboard."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

import rich_click as click
from rich.console import Console

from robustbench_pix.cli.options import (
    check_option,
    colour_option,
    configured,
    data_root_option,
    listing_options,
    on_option,
    precision_option,
    recipe_option,
    resource_options,
    seeds_option,
    size_option,
    suite_option,
    together,
)
from robustbench_pix.runs.request import Resources, RunConfig

if TYPE_CHECKING:
    from robustbench_pix.runs.progress import Watcher
    from robustbench_pix.runs.store import Store


@click.command()
@together(suite_option, recipe_option, on_option, seeds_option, size_option, colour_option, precision_option)
@together(check_option, data_root_option, resource_options)
@click.option("--dry-run", is_flag=True, help="Show the jobs, their time and their disk space; run nothing.")
@listing_options
@click.pass_context
def run(context: click.Context, dry_run: bool, style: str, **stated: Any) -> None:
    """Train and attack what is missing, and show the leaderboard. Finished jobs are kept.

    \b
    Examples:
    $ rbp run
    $ rbp run --on mnist --size reduced --recipe unregularized --recipe pixel
    $ rbp run --suite paper --on cifar10:natural --seeds 7
    """
    config, resources = configured(**stated)
    if dry_run:
        _show_estimate(config, resources, style)
    elif not run_and_show(config, resources, style):
        context.exit(1)


@click.command()
@click.option(
    "--model", metavar="REFERENCE", required=True,
    help="Function that builds the model: package.module:function or file.py:function, from the current folder. "
    "Called without arguments, it returns a torch module that maps images in [0, 1] to logits.",
)  # fmt: skip
@click.option(
    "--weights", metavar="FILE", type=click.Path(path_type=Path),
    help="File with the weights: .safetensors, or a torch file, of which no code is run.",
)  # fmt: skip
@click.option("--task", metavar="NAME", required=True, help="Task whose test images are attacked.")
@click.option(
    "--regularization-data", metavar="NAME", show_default="the task's",
    help="Regularization data of the setting to list the model in.",
)  # fmt: skip
@click.option("--name", metavar="NAME", show_default="the function's", help="Display name.")
@click.option("--replace", is_flag=True, help="Replace another external model of this name.")
@together(suite_option, size_option, colour_option, check_option, data_root_option, resource_options)
@listing_options
@click.pass_context
def evaluate(context: click.Context, style: str, **stated: Any) -> None:
    """Attack an external model, and list it in the leaderboard beside the trained recipes.

    The code behind --model is run; code in --weights is not.

    \b
    Examples:
    $ rbp evaluate --model net.py:build --weights net.safetensors --task digits
    $ rbp evaluate --model theirs.models:robust --task cifar10 --colour rgb
    """
    if not run_and_show(*configured(**stated), style):
        context.exit(1)


def run_and_show(config: RunConfig, resources: Resources, style: str) -> bool:
    """Run a configuration and show its board; return whether every row is complete or was never meant to run.

    And whether no gradient check failed, nor found a model without any gradients. An external model is shown among all
    rows of its setting.
    """
    from robustbench_pix.cli.tables import show_board
    from robustbench_pix.results.from_runs import board_of
    from robustbench_pix.results.gradient_masking import fails
    from robustbench_pix.runs.plan_store import setting_rows
    from robustbench_pix.runs.runner import run_config
    from robustbench_pix.runs.store import Store

    store, external = Store(config.workspace.runs), config.external
    with watched(store) as watcher:
        rows = run_config(config, resources, watcher)
    board = board_of(setting_rows(rows, store) if external else rows, store)
    show_board(board, style)
    requested = board.leaderboard
    if external:
        requested = requested[requested["recipe"] == external.name]
    return bool(requested["status"].isin(["complete", "not run"]).all() and not requested["gradients"].map(fails).any())


@contextmanager
def watched(store: "Store") -> Iterator["Watcher"]:
    """Give what shows progress; Ctrl-C ends the process and says how to go on."""
    from robustbench_pix.foreign import lent_to_others, watched_keyboard
    from robustbench_pix.runs.progress import BarWatcher, LineWatcher

    console = Console(stderr=True)
    bars = BarWatcher(console, store) if console.is_terminal else None
    try:
        with watched_keyboard(), lent_to_others(), bars or nullcontext():
            yield bars or LineWatcher()
    except KeyboardInterrupt:
        click.echo("Stopped. What was finished is kept; the same command goes on from there.", err=True)
        sys.exit(130)


def _show_estimate(config: RunConfig, resources: Resources, style: str) -> None:
    from robustbench_pix.cli.output import write_rows
    from robustbench_pix.foreign import lent_to_others
    from robustbench_pix.runs.cost_estimate import estimate

    with lent_to_others():
        estimated = estimate(config, resources)
    write_rows(estimated, style, narrow=("jobs", "count", "time", "disk", "note"))

"""``rbp run``, ``evaluate`` and ``transfer``: train and attack what is missing, and show the result."""

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

import rich_click as click
from rich.console import Console

from robustbench_pix.catalogue.specs import AttackSpec, SourceSpec
from robustbench_pix.catalogue.workspace import Workspace
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
from robustbench_pix.errors import UserError
from robustbench_pix.runs.request import Resources, RunConfig

if TYPE_CHECKING:
    import pandas as pd

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
    from robustbench_pix.cli.output import write_estimate
    from robustbench_pix.foreign import lent_to_others
    from robustbench_pix.runs.cost_estimate import estimate

    with lent_to_others():
        estimated = estimate(config, resources)
    write_estimate(estimated, style)


DEFAULT_ATTACK = "transfer-fgsm"
DEFAULT_RECIPES = ("unregularized", "thresholded")


@click.command()
@click.option("--attack", metavar="NAME", default=DEFAULT_ATTACK, show_default=True, help="Attack to transfer.")
@click.option(
    "--on", metavar="TASK:DATA", default="digits", show_default=True,
    help="Task and regularization data; TASK alone means TASK:TASK.",
)  # fmt: skip
@click.option(
    "--recipe", "recipes", metavar="NAME", multiple=True, default=DEFAULT_RECIPES, show_default=True,
    help="Recipe of a victim. Repeatable.",
)  # fmt: skip
@click.option(
    "--source-recipe", "source_recipes", metavar="NAME", multiple=True, show_default="those of the victims",
    help="Recipe of a source model. Repeatable.",
)  # fmt: skip
@click.option(
    "--source-network", "source_networks", metavar="NAME", multiple=True, show_default="the task's own",
    help="Network of a source model, such as plain or resnet34. Repeatable.",
)  # fmt: skip
@click.option(
    "--source-seeds", metavar="COUNT", type=click.IntRange(min=1, max=1000), default=2, show_default=True,
    help="Number of source models of each recipe and network.",
)  # fmt: skip
@click.option(
    "--latex", metavar="FILE", type=click.Path(path_type=Path, dir_okay=False),
    help="LaTeX file to write the matrix to as well.",
)  # fmt: skip
@together(seeds_option, size_option, colour_option, precision_option, data_root_option, resource_options)
@listing_options
@click.pass_context
def transfer(
    context: click.Context,
    attack: str,
    on: str,
    source_recipes: tuple[str, ...],
    source_networks: tuple[str, ...],
    source_seeds: int,
    latex: Path | None,
    style: str,
    workspace: Workspace,
    **stated: Any,
) -> None:
    """Show the accuracy of each victim (columns) on images made on each source model (rows).

    What is missing is trained and attacked, and kept; the leaderboard, which shows suites, does not change.

    \b
    Examples:
    $ rbp transfer --seeds 1
    $ rbp transfer --attack transfer-fgsm --source-recipe unregularized --source-network small --source-network plain
    """
    entry = workspace.attack(attack)
    if entry.access != "transfer":
        raise UserError(f'{entry.path}: access is "{entry.access}"; only an attack with access "transfer" has sources.')
    config, resources = configured(suite=None, on=(on,), workspace=workspace, **stated)
    network = config.task_at_size(config.combinations[0].task).network
    others = [None if name == network else name for name in source_networks or (network,)]
    sources = [
        SourceSpec(recipe=workspace.recipe(recipe).name, network=name, seed=seed)
        for recipe in dict.fromkeys(source_recipes or config.recipes)
        for name in dict.fromkeys(others)
        for seed in range(source_seeds)
    ]

    from robustbench_pix.results.from_runs import board_of
    from robustbench_pix.runs.runner import run_transfer_matrix
    from robustbench_pix.runs.store import Store

    store = Store(workspace.runs)
    with watched(store) as watcher:
        found = run_transfer_matrix(config, entry, sources, resources, watcher)
    leaderboards = [board_of(rows, store).leaderboard for rows in found]
    _show_matrix(config, entry, sources, network, leaderboards, style, latex)
    if not all(leaderboard["status"].isin(["complete", "not run"]).all() for leaderboard in leaderboards):
        context.exit(1)


def _show_matrix(
    config: RunConfig,
    entry: AttackSpec,
    sources: Sequence[SourceSpec],
    network: str,
    leaderboards: Sequence["pd.DataFrame"],
    style: str,
    latex: Path | None,
) -> None:
    """Show a matrix; ``network`` is the task's own, which sources without another have."""
    from robustbench_pix.cli.output import write_rows
    from robustbench_pix.cli.tables import show_tables
    from robustbench_pix.leaderboard import captions
    from robustbench_pix.leaderboard.attack_tables import transfer_table
    from robustbench_pix.leaderboard.paper.tex_files import matrix_tables
    from robustbench_pix.results.published.writing import write_whole
    from robustbench_pix.results.transfer_matrix import matrix

    named = [(source.recipe, source.network or network, source.seed) for source in sources]
    table = matrix(named, leaderboards, config.recipes, entry.name)
    notes, combination = _notes(config, sources, leaderboards), str(config.combinations[0])
    if style == "table":
        title = f"{entry.name} on {combination}: from each source (down) to each victim (across)"
        show_tables([(title, transfer_table(table, notes))])
    else:
        shown = table.astype(object).where(table.notna(), None)
        write_rows([{str(key): value for key, value in row.items()} for row in shown.to_dict("records")], style)
    if latex is not None:
        measured = [f"network of the victims: {network}", captions.protocol(leaderboards[0]["protocol"].iloc[0])]
        write_whole(latex, matrix_tables(table, entry.name, combination, [*notes, *measured]).encode())
        click.echo(f"wrote {latex}", err=True)


def _notes(config: RunConfig, sources: Sequence[SourceSpec], leaderboards: Sequence["pd.DataFrame"]) -> list[str]:
    """Return the facts of the measurement and the missing rows, each once."""
    from robustbench_pix.leaderboard import captions

    seeds = ", ".join(map(str, config.seeds))
    notes = [f"mean over the victims' seeds {seeds}" if len(config.seeds) > 1 else f"seed of the victims: {seeds}"]
    notes += [fact for fact in (config.size, config.precision) if fact not in ("full", "float32")]
    notes += ["±: standard deviation over the sources' seeds"] if any(source.seed for source in sources) else []
    for leaderboard in leaderboards:
        notes += [f"{recipe}: {status} - {reason}" for recipe, status, reason in captions.stopped(leaderboard)]
        notes += [f"{recipes} - {remark}" for recipes, remark in captions.remarks(leaderboard)]
    return list(dict.fromkeys(notes))

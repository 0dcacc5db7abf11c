"""``rbp transfer``: the matrix of a transfer attack, sources by victims."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import rich_click as click

from robustbench_pix.catalogue.specs import AttackSpec, SourceSpec
from robustbench_pix.catalogue.workspace import Workspace
from robustbench_pix.cli.options import (
    colour_option,
    configured,
    data_root_option,
    listing_options,
    precision_option,
    resource_options,
    seeds_option,
    size_option,
    together,
)
from robustbench_pix.errors import UserError
from robustbench_pix.runs.request import RunConfig

if TYPE_CHECKING:
    import pandas as pd

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

    from robustbench_pix.cli.run import watched
    from robustbench_pix.results.from_runs import board_of
    from robustbench_pix.runs.runner import run_transfer_matrix
    from robustbench_pix.runs.store import Store

    store = Store(workspace.runs)
    with watched(store) as watcher:
        found = run_transfer_matrix(config, entry, sources, resources, watcher)
    leaderboards = [board_of(rows, store).leaderboard for rows in found]
    _show(config, entry, sources, network, leaderboards, style, latex)
    if not all(leaderboard["status"].isin(["complete", "not run"]).all() for leaderboard in leaderboards):
        context.exit(1)


def _show(
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
    from robustbench_pix.cli.tables import console_of_output
    from robustbench_pix.leaderboard import captions
    from robustbench_pix.leaderboard.transfer_matrix import matrix_tables, render
    from robustbench_pix.results.published.writing import write_whole
    from robustbench_pix.results.transfer_matrix import matrix

    named = [(source.recipe, source.network or network, source.seed) for source in sources]
    table = matrix(named, leaderboards, config.recipes, entry.name)
    notes, combination = _notes(config, sources, leaderboards), str(config.combinations[0])
    if style == "table":
        console = console_of_output()
        title = f"{entry.name} on {combination}: from each source (down) to each victim (across)"
        console.print(render(table, title, notes, console_width=console.width))
    else:
        shown = table.astype(object).where(table.notna(), None)
        write_rows([{str(key): value for key, value in row.items()} for row in shown.to_dict("records")], style)
    if latex is not None:
        measured = [f"network of the victims: {network}", captions.protocol(leaderboards[0]["protocol"].iloc[0])]
        write_whole(latex, matrix_tables(table, entry.name, combination, [*notes, *measured]).encode())
        click.echo(f"wrote {latex}", err=True)


def _notes(config: RunConfig, sources: Sequence[SourceSpec], leaderboards: Sequence["pd.DataFrame"]) -> list[str]:
    """Return what was measured how, and what is missing, once."""
    from robustbench_pix.leaderboard import captions

    seeds = ", ".join(map(str, config.seeds))
    notes = [f"mean over the victims' seeds {seeds}" if len(config.seeds) > 1 else f"seed of the victims: {seeds}"]
    notes += [fact for fact in (config.size, config.precision) if fact not in ("full", "float32")]
    notes += ["±: standard deviation over the sources' seeds"] if any(source.seed for source in sources) else []
    for leaderboard in leaderboards:
        notes += [f"{recipe}: {status} - {reason}" for recipe, status, reason in captions.stopped(leaderboard)]
        notes += [f"{recipes} - {remark}" for recipes, remark in captions.remarks(leaderboard)]
    return list(dict.fromkeys(notes))

"""``rbp transfer``: the matrix of a transfer attack, sources by victims."""

from pathlib import Path

import rich_click as click

from robustbench_pix.catalogue.specs import AttackSpec, SourceSpec
from robustbench_pix.catalogue.workspace import Workspace
from robustbench_pix.cli.run import run
from robustbench_pix.errors import UserError
from robustbench_pix.runs.request import Request, parse_combination, parse_seeds

DEFAULT_ATTACK = "transfer-fgsm"
DEFAULT_RECIPES = ("unregularized", "thresholded")
AS_IN_RUN = {
    "seeds", "size", "colour", "precision", "data_root", "device", "executor", "workers", "workspace", "style"
}  # fmt: skip
"""Options of ``rbp run`` that mean the same here."""


@click.command()
@click.option("--attack", metavar="NAME", default=DEFAULT_ATTACK, show_default=True, help="The attack to transfer.")
@click.option(
    "--on", "combination", metavar="TASK:IMAGES", default="digits", show_default=True,
    help="What to train on, and the images that regularize; TASK is TASK:TASK.",
)  # fmt: skip
@click.option(
    "--recipe", "recipes", metavar="NAME", multiple=True, default=DEFAULT_RECIPES, show_default=True,
    help="What a victim is trained with. Repeatable.",
)  # fmt: skip
@click.option(
    "--source-recipe", "source_recipes", metavar="NAME", multiple=True, show_default="those of the victims",
    help="What a source is trained with. Repeatable.",
)  # fmt: skip
@click.option(
    "--source-network", "source_networks", metavar="NAME", multiple=True, show_default="the task's own",
    help="The network of a source, such as plain or resnet34. Repeatable.",
)  # fmt: skip
@click.option(
    "--source-seeds", metavar="COUNT", type=click.IntRange(min=1, max=1000), default=2, show_default=True,
    help="How many sources of each recipe and network.",
)  # fmt: skip
@click.option(
    "--latex", metavar="FILE", type=click.Path(path_type=Path, dir_okay=False),
    help="Also write the matrix as a table for a paper.",
)  # fmt: skip
@click.pass_context
def transfer(
    context: click.Context,
    attack: str,
    combination: str,
    recipes: tuple[str, ...],
    source_recipes: tuple[str, ...],
    source_networks: tuple[str, ...],
    source_seeds: int,
    latex: Path | None,
    seeds: str,
    size: str,
    colour: str | None,
    precision: str,
    data_root: Path | None,
    device: str | None,
    executor: str,
    workers: int | None,
    workspace: Workspace,
    style: str,
) -> None:
    """Show how robust each recipe is to images made on source models: sources down, victims across.

    What is missing is trained and attacked, and kept; the leaderboard, which shows suites, does not change.

    \b
    Examples:
    $ rbp transfer --seeds 1
    $ rbp transfer --attack transfer-fgsm --source-recipe unregularized --source-network small --source-network plain
    """
    from robustbench_pix.data.base import default_root

    entry = _entry(workspace, attack)
    request = Request(
        workspace=workspace,
        suite=entry.name,
        recipes=tuple(dict.fromkeys(workspace.recipe(name).name for name in recipes)),
        combinations=(parse_combination(combination),),
        seeds=parse_seeds(seeds),
        size=size,
        colour=colour,  # type: ignore[arg-type]
        precision=precision,  # type: ignore[arg-type]
        data_root=data_root.expanduser() if data_root else default_root(),
    )
    task = request.task_at_size(request.combinations[0].task)
    others = [None if network == task.network else network for network in source_networks or (task.network,)]
    sources = [
        SourceSpec(recipe=workspace.recipe(recipe).name, network=network, seed=seed)
        for recipe in dict.fromkeys(source_recipes or request.recipes)
        for network in dict.fromkeys(others)
        for seed in range(source_seeds)
    ]

    from robustbench_pix.cli.transferring import transfer_and_show
    from robustbench_pix.runs.running import Means

    if not transfer_and_show(request, entry, sources, task.network, Means(device, executor, workers), style, latex):
        context.exit(1)


transfer.params += [option for option in run.params if option.name in AS_IN_RUN]


def _entry(workspace: Workspace, name: str) -> AttackSpec:
    entry = workspace.attack(name)
    if entry.access != "transfer":
        raise UserError(f'{entry.path}: access is "{entry.access}"; only an attack with access "transfer" has sources.')
    return entry

"""``rbp tune``: search a recipe's parameters on validation images, show the search, and write the winner."""

from typing import TYPE_CHECKING, Any

import rich_click as click

from robustbench_pix.catalogue.workspace import Workspace
from robustbench_pix.cli.options import data_root_option, listing_options, resource_options, size_option, together
from robustbench_pix.runs.request import TUNING_SEED, Resources, RunConfig, parse_combination

if TYPE_CHECKING:
    from collections.abc import Sequence

    from robustbench_pix.tuning.search import Found

MOST_SEEDS = 100


@click.command()
@click.argument("recipes", metavar="RECIPE[,RECIPE...]")
@click.option(
    "--on", metavar="TASK:DATA", default="digits", show_default=True,
    help="Task and regularization data; TASK alone means TASK:TASK.",
)  # fmt: skip
@size_option
@click.option(
    "--grid", metavar="PARAMETER=VALUES", multiple=True, show_default="[search] of the recipe's file",
    help="Values of a parameter, such as alpha=0.1,1,10. Repeatable.",
)  # fmt: skip
@click.option(
    "--points", metavar="COUNT", type=click.IntRange(min=1), default=24, show_default=True,
    help="Points at most; of a larger grid a fixed choice is searched.",
)  # fmt: skip
@click.option(
    "--optuna", "trials", metavar="COUNT", type=click.IntRange(min=1),
    help="Search so many points that optuna suggests in place of the grid, between its smallest and largest values.",
)  # fmt: skip
@click.option(
    "--keep", metavar="SHARE", type=click.Choice(["0.9", "0.99"]), default="0.9", show_default=True,
    help="Share of the clean accuracy of unregularized that a point must keep: 0.9 or 0.99.",
)  # fmt: skip
@click.option(
    "--seeds", metavar="COUNT", type=click.IntRange(min=1, max=MOST_SEEDS), default=2, show_default=True,
    help=f"Number of tuning seeds; they begin at {TUNING_SEED}, and no table evaluates them.",
)  # fmt: skip
@click.option("--write", is_flag=True, help="Write the winner as a [[tuned]] entry into models/ of the workspace.")
@click.option("--dry-run", is_flag=True, help="Show the jobs, their time and their disk space; run nothing.")
@together(data_root_option, resource_options)
@listing_options
@click.pass_context
def tune(
    context: click.Context, recipes: str, on: str, size: str, seeds: int, write: bool, dry_run: bool,
    workspace: Workspace, style: str, **stated: Any,
) -> None:  # fmt: skip
    """Search the parameters of recipes on validation images; test images are never read. Finished jobs are kept.

    The winner keeps the clean accuracy of unregularized and has the largest mean accuracy under Gaussian noise.

    \b
    Examples:
    $ rbp tune pixel --on digits --dry-run
    $ rbp tune thresholded,shuffled --on mnist --size reduced --write
    $ rbp tune thresholded --grid alpha=1,4 --grid threshold=0.2,0.4 --keep 0.99
    """
    from robustbench_pix.cli.run import watched
    from robustbench_pix.runs.store import Store
    from robustbench_pix.tuning.grid import parse_grid
    from robustbench_pix.tuning.search import SearchConfig
    from robustbench_pix.tuning.search import tune as search

    how = SearchConfig(parse_grid(stated.pop("grid")), *(stated.pop(name) for name in ("points", "trials", "keep")))
    data_root = stated.pop("data_root")
    config = RunConfig(
        workspace=workspace,
        suite=None,
        recipes=tuple(workspace.recipe_names([recipes])),
        combinations=(parse_combination(on),),
        seeds=tuple(range(TUNING_SEED, TUNING_SEED + seeds)),
        size=size,
        data_root=data_root.expanduser() if data_root else None,
    )
    resources = Resources(**stated)
    if dry_run:
        from robustbench_pix.cli.output import write_estimate
        from robustbench_pix.foreign import lent_to_others
        from robustbench_pix.runs.cost_estimate import estimate_plan
        from robustbench_pix.tuning.search import planned_jobs

        with lent_to_others():
            estimated = estimate_plan(planned_jobs(config, how), Store(workspace.runs), resources)
        write_estimate(estimated, style)
        return
    with watched(Store(workspace.runs)) as watcher:
        found = search(config, how, resources, watcher)
    _show(found, style)
    if write:
        from robustbench_pix.tuning.entry import write_entry

        for one in found:
            if one.chosen is not None:
                click.echo(f"wrote {write_entry(one, config)}", err=True)
    if any(one.chosen is None for one in found):
        context.exit(1)


def _show(found: "Sequence[Found]", style: str) -> None:
    """Show each search with its heat map and its choice; other formats than a table have the rows alone."""
    from robustbench_pix.cli.output import write_rows
    from robustbench_pix.cli.tables import console_of_output
    from robustbench_pix.tuning.display import LEGEND, heat_map, rows, sentence

    if style != "table":
        write_rows(rows(found), style)
    for one in found:
        if style == "table":
            write_rows(rows([one]), style)
            if (drawn := heat_map(one)) is not None:
                console_of_output().print("", drawn, LEGEND, "", sep="\n", highlight=False)
        click.echo(sentence(one), err=style != "table" or one.chosen is None)

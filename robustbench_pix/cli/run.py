"""``rbp run``: train what is missing, attack it, show the table."""

from pathlib import Path

import rich_click as click

from robustbench_pix.catalogue.workspace import Workspace
from robustbench_pix.cli.options import (
    check_option,
    chosen_root,
    colour_option,
    data_root_option,
    device_option,
    executor_option,
    format_option,
    size_option,
    suite_option,
    workers_option,
    workspace_option,
)
from robustbench_pix.runs.request import (
    DEFAULT_COMBINATIONS,
    DEFAULT_RECIPES,
    DEFAULT_SEEDS,
    Request,
    parse_combination,
    parse_seeds,
)


@click.command()
@suite_option
@click.option(
    "--recipe", "recipes", metavar="NAME", multiple=True, default=DEFAULT_RECIPES, show_default=True,
    help="What to train with. Repeatable.",
)  # fmt: skip
@click.option(
    "--on", "combinations", metavar="TASK:IMAGES", multiple=True, default=DEFAULT_COMBINATIONS, show_default=True,
    help="What to train on, and the images that regularize; TASK is TASK:TASK. Repeatable.",
)  # fmt: skip
@click.option(
    "--seeds", metavar="SEEDS", default=DEFAULT_SEEDS, show_default=True,
    help="How many, or which: 3 means 0, 1, 2; 4,5 means those; 4, means 4 alone.",
)  # fmt: skip
@size_option
@colour_option
@click.option(
    "--precision", metavar="NAME", type=click.Choice(["float32", "tf32", "bfloat16"]), default="float32",
    show_default=True, help="float32, tf32 or bfloat16: of the training. Attacks are always judged in float32.",
)  # fmt: skip
@check_option
@data_root_option
@device_option
@executor_option
@workers_option
@click.option("--dry-run", is_flag=True, help="Say what would run, how long, and how much disk; run nothing.")
@workspace_option
@format_option
@click.pass_context
def run(
    context: click.Context,
    suite: str,
    recipes: tuple[str, ...],
    combinations: tuple[str, ...],
    seeds: str,
    size: str,
    colour: str | None,
    precision: str,
    check_gradients: bool | None,
    data_root: Path | None,
    device: str | None,
    executor: str,
    workers: int | None,
    dry_run: bool,
    workspace: Workspace,
    style: str,
) -> None:
    """Train what is missing, attack it, and show the table. What was finished before is kept.

    \b
    Examples:
    $ rbp run
    $ rbp run --on mnist --size small --recipe unregularized --recipe thresholded
    $ rbp run --suite paper --on cifar10:natural --seeds 7
    """
    request = Request(
        workspace=workspace,
        suite=workspace.suite(suite).name,
        recipes=tuple(dict.fromkeys(workspace.recipe(name).name for name in recipes)),
        combinations=tuple(dict.fromkeys(parse_combination(text) for text in combinations)),
        seeds=parse_seeds(seeds),
        size=size,
        colour=colour,  # type: ignore[arg-type]
        precision=precision,  # type: ignore[arg-type]
        data_root=chosen_root(data_root),
        check_gradients=check_gradients,
    )
    for combination in request.combinations:
        request.task_at_size(combination.task)

    from robustbench_pix.cli.running import run_and_show
    from robustbench_pix.runs.running import Means

    means = Means(device, executor, workers)
    if dry_run:
        from robustbench_pix.cli.output import write_rows
        from robustbench_pix.runs.estimate import estimate

        write_rows(estimate(request, means), style, narrow=("jobs", "count", "time", "disk", "note"))
        return
    if not run_and_show(request, means, style):
        context.exit(1)

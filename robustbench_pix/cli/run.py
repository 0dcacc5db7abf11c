"""``rbp run``: train what is missing, attack it, show the table."""

from pathlib import Path

import rich_click as click

from robustbench_pix.catalogue.workspace import Workspace
from robustbench_pix.cli.options import data_root_option, format_option, workspace_option
from robustbench_pix.runs.request import (
    DEFAULT_COMBINATIONS,
    DEFAULT_RECIPES,
    DEFAULT_SEEDS,
    DEFAULT_SUITE,
    Request,
    parse_combination,
    parse_seeds,
)


@click.command()
@click.option("--suite", metavar="NAME", default=DEFAULT_SUITE, show_default=True, help="The attacks to run.")
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
@click.option("--size", metavar="NAME", default="full", show_default=True, help="A size of the task, such as small.")
@click.option(
    "--colour", metavar="COLOUR", type=click.Choice(["gray", "rgb"]), show_default="the task's",
    help="gray or rgb: of the images.",
)  # fmt: skip
@click.option(
    "--precision", metavar="NAME", type=click.Choice(["float32", "tf32", "bfloat16"]), default="float32",
    show_default=True, help="float32, tf32 or bfloat16: of the training. Attacks are always judged in float32.",
)  # fmt: skip
@data_root_option
@click.option("--device", metavar="DEVICE", show_default="cuda where there is one", help="cpu, cuda, cuda:0 or mps.")
@click.option(
    "--executor", metavar="WHERE", type=click.Choice(["processes", "inline"]), default="processes", show_default=True,
    help="Where jobs run: in processes of their own, or inline, one by one in this process.",
)  # fmt: skip
@click.option(
    "--workers", metavar="COUNT", type=click.IntRange(min=1), show_default="2 on a CPU, else one a GPU",
    help="How many processes.",
)  # fmt: skip
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
        data_root=data_root.expanduser() if data_root else _default_root(),
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


def _default_root() -> Path:
    from robustbench_pix.data.base import default_root

    return default_root()

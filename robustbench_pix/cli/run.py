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
@click.option("--suite", default=DEFAULT_SUITE, show_default=True, help="The attacks to run.")
@click.option("--recipe", "recipes", multiple=True, default=DEFAULT_RECIPES, show_default=True, help="Repeatable.")
@click.option(
    "--on", "combinations", multiple=True, default=DEFAULT_COMBINATIONS, show_default=True,
    help="TASK:IMAGES, or TASK for TASK:TASK. Repeatable.",
)  # fmt: skip
@click.option("--seeds", default=DEFAULT_SEEDS, show_default=True, help="A count, or a list such as 4,5 (4, for one).")
@click.option("--size", default="full", show_default=True, help="A size of the task, such as small.")
@click.option("--colour", type=click.Choice(["gray", "rgb"]), help="Of the images.  [default: the task's]")
@click.option(
    "--precision", type=click.Choice(["float32", "tf32", "bfloat16"]), default="float32", show_default=True,
    help="Arithmetic of the training; attacks are always judged in float32.",
)  # fmt: skip
@data_root_option
@click.option("--device", help="cpu, cuda, cuda:0 or mps.  [default: cuda where there is one]")
@click.option(
    "--executor", type=click.Choice(["processes", "inline"]), default="processes", show_default=True,
    help="Where jobs run.",
)  # fmt: skip
@click.option("--workers", type=click.IntRange(min=1), help="Processes.  [default: 2 on a CPU, else one a GPU]")
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
    Examples: rbp run --suite blackbox
              rbp run --on mnist --size small --recipe unregularized --recipe thresholded
              rbp run --suite paper --on cifar10:natural --seeds 7
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
        data_root=data_root or _default_root(),
    )
    for combination in request.combinations:
        request.task_at_size(combination.task)

    from robustbench_pix.cli.running import estimate_rows, run_and_show
    from robustbench_pix.runs.running import Means

    means = Means(device, executor, workers)
    if dry_run:
        from robustbench_pix.cli.output import write_rows

        write_rows(estimate_rows(request, means), style)
        return
    if not run_and_show(request, means, style):
        context.exit(1)


def _default_root() -> Path:
    from robustbench_pix.data.base import default_root

    return default_root()

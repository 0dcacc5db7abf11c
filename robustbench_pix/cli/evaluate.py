"""``rbp evaluate``: somebody else's model in the same table."""

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
from robustbench_pix.runs.request import request_of_given


@click.command()
@click.option(
    "--model", metavar="REFERENCE", required=True,
    help="What builds it: package.module:function or file.py:function, from the current folder. Called without "
    "arguments, it returns a torch module that takes images in [0, 1] and returns logits.",
)  # fmt: skip
@click.option(
    "--weights", metavar="FILE", type=click.Path(path_type=Path),
    help="Its weights: a .safetensors file, or a torch file, of which no code is run.",
)  # fmt: skip
@click.option("--task", metavar="NAME", required=True, help="The test images, and the block of the table.")
@click.option(
    "--images",
    metavar="NAME",
    show_default="the task's",
    help="Of the block of its row: what regularized there.",
)
@click.option("--name", metavar="NAME", show_default="the function's", help="Of its row.")
@suite_option
@size_option
@colour_option
@check_option
@data_root_option
@device_option
@executor_option
@workers_option
@workspace_option
@format_option
@click.pass_context
def evaluate(
    context: click.Context,
    model: str,
    weights: Path | None,
    task: str,
    images: str | None,
    name: str | None,
    suite: str,
    size: str,
    colour: str | None,
    check_gradients: bool | None,
    data_root: Path | None,
    device: str | None,
    executor: str,
    workers: int | None,
    workspace: Workspace,
    style: str,
) -> None:
    """Attack somebody else's model, and show it in the same table, in a row of its own.

    The code behind --model is run, no code in --weights is.

    \b
    Examples:
    $ rbp evaluate --model net.py:small --weights small.safetensors --task digits
    $ rbp evaluate --model theirs.models:robust --task cifar10 --colour rgb
    """
    request = request_of_given(
        model,
        weights,
        name,
        workspace=workspace,
        suite=suite,
        task=task,
        images=images,
        size=size,
        colour=colour,  # type: ignore[arg-type]
        data_root=chosen_root(data_root),
        check_gradients=check_gradients,
    )

    from robustbench_pix.cli.running import run_and_show
    from robustbench_pix.runs.running import Means

    if not run_and_show(request, Means(device, executor, workers), style):
        context.exit(1)

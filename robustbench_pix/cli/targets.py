"""``rbp targets``."""

from pathlib import Path

import rich_click as click

from robustbench_pix.catalogue.specs import Colour
from robustbench_pix.catalogue.workspace import Workspace
from robustbench_pix.cli.options import (
    colour_option,
    data_root_option,
    format_option,
    size_option,
    workspace_option,
)
from robustbench_pix.cli.output import write_rows
from robustbench_pix.runs.request import DEFAULT_COMBINATIONS, RunConfig

SHOWN = ("recipe", "mean", "deviation", "least", "largest", "threshold", "above", "below")
CEILINGS = ("split_half", "spearman_brown", "single_trial", "sessions_lower", "sessions_upper")


@click.command()
@click.argument("first", metavar="A")
@click.argument("second", metavar="B")
@click.option(
    "--on", "combination", metavar="TASK:DATA", default=DEFAULT_COMBINATIONS[0], show_default=True,
    help="Task and regularization data; TASK alone means TASK:TASK.",
)  # fmt: skip
@click.option("--figure", metavar="FILE", type=click.Path(path_type=Path, dir_okay=False),
              help="Draw the targets of each pair against each other, into a .png, .pdf or .svg file.")  # fmt: skip
@size_option
@colour_option
@data_root_option
@workspace_option
@format_option
def targets(
    first: str,
    second: str,
    combination: str,
    figure: Path | None,
    size: str,
    colour: Colour | None,
    data_root: Path | None,
    workspace: Workspace,
    style: str,
) -> None:
    """Compare the targets of two recipes on the same images, before anything is trained.

    The correlation is Pearson's r over the pairs of images that both use. above and below are the shares of pairs
    beyond the threshold of the recipe. A neural target has a noise ceiling: over repeats that of two halves and, by
    Spearman-Brown, of all repeats; over sessions the lower and the upper bound.

    \b
    Examples:
    $ rbp targets pixel thresholded
    $ rbp targets pixel neural --on digits:v4 --figure pixel-neural.png
    """
    from robustbench_pix.leaderboard.paper.target_figure import write_scatter
    from robustbench_pix.leaderboard.terminal.plots import sparkline
    from robustbench_pix.regularizers.target_comparison import correlation_of_values, shared_values, summary
    from robustbench_pix.runs.recipe_targets import recipe_targets

    config = RunConfig.parse(
        workspace=workspace,
        recipes=[first, second],
        on=[combination],
        seeds="1",
        size=size,
        colour=colour,
        data_root=data_root,
    )
    both = recipe_targets(config, config.combinations[0])
    one, other = both[0], both[-1]
    values = shared_values(one, other)
    correlation = correlation_of_values(*values)
    told = f"r = {correlation:.3f} over {len(values[0]):,} pairs of {config.combinations[0]}"
    rows = [{**summary(target), "correlation": correlation} for target in (one, other)]
    if style == "table":
        click.echo(f"{first} and {second}: {told}\n")
        write_rows([{name: row[name] for name in SHOWN} for row in rows], style)
        for row in rows:
            known = [f"{name.replace('_', ' ')} {row[name]:.3f}" for name in CEILINGS if row[name] is not None]
            counts = row["histogram"]
            shares = [count / max(counts) for count in counts]
            click.echo(f"{row['recipe']}: -1 {sparkline(shares, len(shares))} 1, pairs by similarity")
            if known:
                click.echo(f"{row['recipe']}: noise ceiling {', '.join(known)}")
    else:
        write_rows(rows, style)
    if figure is not None:
        write_scatter(figure, (first, second), values[0].numpy(), values[1].numpy(), told)

"""``rbp figures``: a board as figures and tables for a paper."""

from pathlib import Path

import rich_click as click

from robustbench_pix.catalogue.workspace import Workspace
from robustbench_pix.cli.options import data_root_option, device_option, workspace_option


@click.command()
@click.option("--suite", metavar="NAME", help="Only this suite.")
@click.option("--on", "combinations", metavar="TASK:DATA", multiple=True, help="Only this combination. Repeatable.")
@click.option("--published", is_flag=True, help="Draw what is published, even where there are runs.")
@click.option(
    "--output",
    metavar="FOLDER",
    type=click.Path(path_type=Path, file_okay=False),
    show_default="figures in the workspace",
    help="Where the files go, a folder a suite.",
)
@workspace_option
@data_root_option
@device_option
def figures(
    suite: str | None,
    combinations: tuple[str, ...],
    published: bool,
    output: Path | None,
    workspace: Workspace,
    data_root: Path | None,
    device: str | None,
) -> None:
    """Draw the paper's figures from the workspace's runs, else from what is published, beside the published curves.

    A figure an attack, as SVG, PDF and PNG; figures.tex shows them. The tables as LaTeX: leaderboard.tex, and
    comparison.tex for ours beside the published curves; comparisons.tex, aucs.tex, recipe-costs.tex, queries.tex and
    aggregates.tex for the published CSV files of these names; corruptions.tex. They need booktabs.
    Figure 1, a figure a combination, queries the stored models with their regularization data: runs/ and the data
    must be there; similarity.csv holds its correlations.

    \b
    Examples:
    $ rbp figures
    $ rbp figures --suite paper --on cifar10:natural --output paper/figures
    """
    from robustbench_pix.cli.paper_tables import corruption_tables
    from robustbench_pix.cli.similarities import draw_similarities
    from robustbench_pix.cli.tables import board_at, selected
    from robustbench_pix.leaderboard.paper.figures import not_drawn, write_figures
    from robustbench_pix.leaderboard.paper.latex_files import write_tables

    board = selected(board_at(workspace, published=published), suite, combinations)
    leaderboard, measurements = board.leaderboard, board.measurements
    click.echo(board.origin)
    folder = output or workspace.root / "figures"
    corruptions, missing = corruption_tables(measurements, workspace, data_root)
    files = write_figures(leaderboard, measurements, folder)
    for path in [*files, *write_tables(board, folder, corruptions)]:
        click.echo(f"wrote {path}")
    draw_similarities(leaderboard, measurements, folder, workspace, data_root, device)
    for sentence in [*not_drawn(measurements), *missing]:
        click.echo(sentence)

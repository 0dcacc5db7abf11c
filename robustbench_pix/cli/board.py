"""``rbp leaderboard`` and ``rbp publish``."""

import rich_click as click

from robustbench_pix.catalogue.workspace import Workspace
from robustbench_pix.cli.options import format_option, workspace_option


@click.command()
@click.option("--suite", metavar="NAME", help="Only this suite.")
@click.option(
    "--on", "combinations", metavar="TASK:IMAGES", multiple=True, help="Only this combination, in detail. Repeatable."
)
@click.option("--published", is_flag=True, help="Show what is published, even where there are runs.")
@click.option("--measurements", is_flag=True, help="The rows behind the table: one a model, attack and strength.")
@workspace_option
@format_option
def leaderboard(
    suite: str | None,
    combinations: tuple[str, ...],
    published: bool,
    measurements: bool,
    workspace: Workspace,
    style: str,
) -> None:
    """Show the table of the workspace's runs, else of what is published, and say which.

    Several combinations are shown in an overview; with --on, one by one with curves, intervals and notes.

    \b
    Examples:
    $ rbp leaderboard
    $ rbp leaderboard --on digits
    $ rbp leaderboard --on digits --format csv
    """
    from robustbench_pix.cli.tables import boards_of, select, show_board, show_measurements

    found = boards_of(workspace, published=published)
    chosen, rows = select(found, suite, combinations)
    click.echo(f"{found.origin}\n" if style == "table" else found.origin, err=style != "table")
    if measurements:
        show_measurements(rows, style)
    else:
        show_board(chosen, rows, found.beside, style, over_combinations=found.across, detailed=bool(combinations))


@click.command()
@click.option("--examples", is_flag=True, help="Also write examples.parquet: what became of every image.")
@workspace_option
def publish(examples: bool, workspace: Workspace) -> None:
    """Write the tables of the workspace's runs into leaderboard/, beside what is published there already.

    Rows of the same recipe, task and suite are replaced, others stay; so do rows of others that have more seeds or
    attacks. Rows that were measured by other means than those they would stand beside are refused.

    \b
    Examples:
    $ rbp publish
    $ rbp publish --examples
    """
    from robustbench_pix.cli.tables import publish_runs

    files, kept = publish_runs(workspace, examples=examples)
    for path in files:
        click.echo(f"wrote {path}")
    for row in kept:
        click.echo(row, err=True)

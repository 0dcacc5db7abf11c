"""``rbp queries``: what decision and score attacks reach with how many queries."""

import rich_click as click

from robustbench_pix.catalogue.workspace import Workspace
from robustbench_pix.cli.options import format_option, workspace_option


@click.command()
@click.option("--suite", metavar="NAME", help="Only this suite.")
@click.option("--on", "combinations", metavar="TASK:IMAGES", multiple=True, help="Only this combination. Repeatable.")
@workspace_option
@format_option
def queries(suite: str | None, combinations: tuple[str, ...], workspace: Workspace, style: str) -> None:
    """Show success and distance against queries, of the workspace's decision and score attacks.

    A table shows one strength of each attack; csv and json hold them all, and the points of the curves.

    \b
    Examples:
    $ rbp queries
    $ rbp queries --suite decision --format csv
    """
    from robustbench_pix.cli.tables import show_queries

    show_queries(workspace, suite, combinations, style)

"""``rbp verify``."""

from pathlib import Path

import rich_click as click

from robustbench_pix.catalogue.workspace import Workspace
from robustbench_pix.cli.options import data_root_option, device_option


@click.command()
@click.argument("folder", type=click.Path(path_type=Path, file_okay=False), default=Path("leaderboard"))
@click.option(
    "--runs", "runs", metavar="WORKSPACE", type=click.Path(path_type=Path, file_okay=False, exists=True),
    help="Also derive every measurement again from this workspace's runs/, and attack a sample of its models again.",
)  # fmt: skip
@click.option(
    "--sample", metavar="COUNT", type=click.IntRange(min=1), default=8, show_default=True,
    help="How many models x attacks; chosen by their hashes.",
)  # fmt: skip
@data_root_option
@device_option
@click.pass_context
def verify(
    context: click.Context, folder: Path, runs: Path | None, sample: int, data_root: Path | None, device: str | None
) -> None:
    """Verify a published folder: one sentence for everything that is wrong, and exit code 1 if anything is.

    Columns and types, what must hold between counts, every aggregate derived again from measurements.csv, every hash
    from provenance.json; from the outcome of every image, in examples.parquet or with --runs, also queries and worst
    cases; with --runs, every measurement, and attacks on stored models made again.

    \b
    Examples:
    $ rbp verify leaderboard/
    $ rbp verify leaderboard/ --runs . --sample 20
    """
    from robustbench_pix.leaderboard.published.image_verification import not_derived
    from robustbench_pix.leaderboard.published.verification import verify as verify_files
    from robustbench_pix.runs.store import Store

    store = None if runs is None else Store(Workspace(runs).runs)
    findings = [str(finding) for finding in verify_files(folder, store)]
    for finding in findings:
        click.echo(finding)
    if not findings:
        click.echo(f"{folder}: the files agree with each other.")
    if left := not_derived(folder, store):
        click.echo(left)
    if store is not None:
        from robustbench_pix.cli.repeating import repeat

        findings += repeat(folder, store, sample, data_root, device)
    if findings:
        context.exit(1)

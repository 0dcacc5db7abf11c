"""``rbp init``, ``rbp doctor`` and ``rbp clean``: begin a workspace, check a machine, tidy up."""

from pathlib import Path

import rich_click as click

from robustbench_pix.catalogue.workspace import Workspace
from robustbench_pix.cli.options import data_root_option, format_option, workspace_option
from robustbench_pix.errors import UserError

REGULARIZER_TEMPLATE = '''\
"""A regularizer of your own: it is handed the feature maps of pairs of images and returns a scalar."""

import torch


def smooth(step, *, layer=0):
    """Pull the feature maps of both images of a pair together, in one layer."""
    return torch.nn.functional.mse_loss(step.first[layer], step.second[layer])
'''

RECIPE_TEMPLATE = """\
summary = "Pull the feature maps of pairs of images together"
regularizer = "ours.py:smooth"

[parameters]
alpha = 0.1
layer = 0
"""


@click.command()
@click.argument("folder", type=click.Path(path_type=Path, file_okay=False), default=Path())
def init(folder: Path) -> None:
    """Begin a workspace: a recipe with a regularizer of your own, ready to run.

    \b
    Example:
    $ rbp init my-study
    $ cd my-study
    $ rbp run --recipe unregularized --recipe ours
    """
    files = {folder / "models" / "ours.py": REGULARIZER_TEMPLATE, folder / "models" / "ours.toml": RECIPE_TEMPLATE}
    present = [str(path) for path in files if path.exists()]
    if present:
        raise UserError(f"{', '.join(present)} exists already; nothing was written. Give another folder.")
    try:
        for path, text in files.items():
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
            click.echo(f"wrote {path}")
        (folder / "attacks").mkdir(exist_ok=True)
    except OSError as error:
        raise UserError(f"Could not write to {folder}: {error.strerror}; give another folder.") from error
    go_there = "" if folder == Path() else f"cd {folder} && "
    click.echo(f"Next: {go_there}rbp run --recipe unregularized --recipe ours")


@click.command()
@click.argument("names", nargs=-1, metavar="[NAME]...")
@click.option("--attacks", is_flag=True, help="Try what every attack must hold on all attacks, or on those named.")
@data_root_option
@workspace_option
@format_option
@click.pass_context
def doctor(
    context: click.Context,
    names: tuple[str, ...],
    attacks: bool,
    data_root: Path | None,
    workspace: Workspace,
    style: str,
) -> None:
    """Check this machine and this workspace: libraries, devices, data, catalogue, disk. Exits with 1 if one fails.

    \b
    Example:
    $ rbp doctor
    $ rbp doctor --attacks boundary square
    """
    if attacks:
        from robustbench_pix.cli.certificates import write_certificates

        if not write_certificates(workspace, names or tuple(workspace.names("attacks")), style):
            context.exit(1)
        return
    if names:
        raise click.UsageError("Names belong to --attacks.", context)
    from robustbench_pix.cli.examination import examine
    from robustbench_pix.cli.output import write_rows

    findings = examine(workspace, data_root)
    write_rows([finding._asdict() for finding in findings], style)
    if any(finding.state == "fails" for finding in findings):
        context.exit(1)


@click.command()
@click.option("--unused", is_flag=True, help="Also remove finished runs that no plan of this workspace names any more.")
@click.option("--dry-run", is_flag=True, help="Only say what would be removed.")
@workspace_option
def clean(unused: bool, dry_run: bool, workspace: Workspace) -> None:
    """Remove what interrupted runs left behind, and damaged run folders.

    \b
    Example:
    $ rbp clean --unused --dry-run
    """
    from robustbench_pix.runs.tidying import removable, remove

    found = removable(workspace, unused=unused)
    for path, reason in found:
        click.echo(f"{'would remove' if dry_run else 'removed'} {path}: {reason}")
        if not dry_run:
            remove(path)
    if not found:
        click.echo("Nothing to remove.")

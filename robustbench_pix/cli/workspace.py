"""``rbp init`` and ``rbp clean``: create a workspace, and remove leftovers from it."""

from pathlib import Path

import rich_click as click

from robustbench_pix.catalogue.workspace import Workspace
from robustbench_pix.cli.options import workspace_option
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
    """Create a workspace: a recipe with a regularizer of your own, ready to run.

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
@click.option(
    "--unused", is_flag=True,
    help="Also remove finished runs that no plan of this workspace names.",
)  # fmt: skip
@click.option("--dry-run", is_flag=True, help="Show what would be removed; remove nothing.")
@workspace_option
def clean(unused: bool, dry_run: bool, workspace: Workspace) -> None:
    """Remove what interrupted runs left behind, and damaged run folders; report what stays, and why.

    While a run is at work on this workspace, on whatever machine, finished runs stay, damaged ones included.

    \b
    Example:
    $ rbp clean --unused --dry-run
    """
    from robustbench_pix.runs.claims import forget_dead_claims
    from robustbench_pix.runs.cleanup import removable, remove
    from robustbench_pix.runs.clients import CLEAN, at_work, forget_dead, living
    from robustbench_pix.runs.failures import forget_all
    from robustbench_pix.runs.store import disk_error

    if not workspace.runs.is_dir():
        click.echo("Nothing to remove.")
        return
    try:
        with at_work(workspace.runs, CLEAN) as ourselves:
            others = [client for client in living(workspace.runs) if client.name != ourselves.name]
            if unused and others:
                raise UserError(
                    f"A run is at work in {workspace.runs} ({', '.join(client.where for client in others)}), and which "
                    "runs it needs is unknown; wait for its end."
                )
            if not dry_run:
                forget_dead(workspace.runs)
                forget_dead_claims(workspace.runs)
                if not others:
                    forget_all(workspace.runs)
            found, kept = removable(workspace, unused=unused, alone=not others)
            for path, reason in found:
                if not dry_run:
                    remove(path)
                click.echo(f"{'would remove' if dry_run else 'removed'} {path}: {reason}")
            for path, reason in kept:
                click.echo(f"kept {path}: {reason}")
    except OSError as error:
        raise disk_error(workspace.runs, error) from error
    if not found:
        click.echo("Nothing to remove.")

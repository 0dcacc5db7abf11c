"""The command line: arguments in, one call, rows out. Heavy imports stay inside the commands that need them."""

import sys
from typing import Any

import rich_click as click

from robustbench_pix import __version__
from robustbench_pix.cli.board import leaderboard, publish
from robustbench_pix.cli.compare import compare
from robustbench_pix.cli.corruptions import corruptions
from robustbench_pix.cli.diff import diff
from robustbench_pix.cli.evaluate import evaluate
from robustbench_pix.cli.figures import figures
from robustbench_pix.cli.listings import attacks, models, suites, tasks
from robustbench_pix.cli.queries import queries
from robustbench_pix.cli.run import run
from robustbench_pix.cli.show import show
from robustbench_pix.cli.transfer import transfer
from robustbench_pix.cli.upkeep import clean, doctor, init
from robustbench_pix.cli.verify import verify
from robustbench_pix.errors import UserError, nearest

click.rich_click.PADDING_HELPTEXT_FIRST_LINE = (0, 0, 1, 0)


class Commands(click.RichGroup):
    """A group that lists its commands in their order of use, and names the nearest when one is misspelt."""

    def list_commands(self, ctx: Any) -> list[str]:
        """Return the names in the order in which the commands were added."""
        return list(self.commands)

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """Return the command, or fail with the nearest name."""
        try:
            return super().resolve_command(ctx, args)
        except click.UsageError as error:
            sentence = f"There is no command {args[0]!r}.{nearest(args[0], self.list_commands(ctx))}"
            raise click.UsageError(sentence, ctx) from error

    def invoke(self, ctx: Any) -> Any:
        """Do a command; without a terminal an error is one line, so that logs can be searched for it."""
        try:
            return super().invoke(ctx)
        except UserError as error:
            if sys.stderr.isatty():
                raise
            click.echo(f"Error: {error}", err=True)
            ctx.exit(error.exit_code)


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="rbp")
def main() -> None:
    """Is that regularizer really robust? Train, attack and rank under the same batches and the same noise.

    \b
    Example, three minutes on a laptop:
    $ rbp run
    """


COMMANDS = (
    run,
    evaluate,
    leaderboard,
    compare,
    queries,
    transfer,
    corruptions,
    figures,
    publish,
    verify,
    diff,
    show,
    models,
    attacks,
    suites,
    tasks,
    init,
    doctor,
    clean,
)

for command in COMMANDS:
    main.add_command(command)

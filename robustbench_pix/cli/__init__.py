"""The command line: arguments in, one call, rows out. Heavy imports stay inside the commands that need them."""

from typing import Any

import rich_click as click

from robustbench_pix import __version__
from robustbench_pix.cli.board import leaderboard, publish
from robustbench_pix.cli.listings import attacks, models, suites, tasks
from robustbench_pix.cli.run import run
from robustbench_pix.cli.show import show
from robustbench_pix.cli.upkeep import clean, doctor, init
from robustbench_pix.errors import nearest

click.rich_click.TEXT_MARKUP = "rich"


class Commands(click.RichGroup):
    """A group that names the nearest command when one is misspelt."""

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """Return the command, or fail with the nearest name."""
        try:
            return super().resolve_command(ctx, args)
        except click.UsageError as error:
            sentence = f"There is no command {args[0]!r}.{nearest(args[0], self.list_commands(ctx))}"
            raise click.UsageError(sentence, ctx) from error


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="rbp")
def main() -> None:
    """Is that regularizer really robust? Train, attack and rank under the same batches and the same noise."""


for command in (run, leaderboard, publish, show, models, attacks, suites, tasks, init, doctor, clean):
    main.add_command(command)

"""The command line: arguments in, one call, rows out. Heavy imports stay inside the commands that need them."""

import errno
import logging
import sys
from typing import Any

import rich_click as click

from robustbench_pix import __version__
from robustbench_pix.cli import (
    board,
    compare,
    doctor,
    figures,
    listings,
    run,
    show,
    status,
    targets,
    tune,
    verify,
    workspace,
)
from robustbench_pix.cli.output import discard_output, flush_output, prepare_streams
from robustbench_pix.errors import RobustBenchPixError, UserError, nearest
from robustbench_pix.import_path import libraries_first

READING = ("recipes", "models", "attacks", "suites", "tasks", "status", "init", "clean")
"""Commands that load no large library."""

LEAST_ADDRESS_SPACE_BYTES = 4 * 2**30
"""Of virtual memory: torch, pyarrow and their threads take that much, whether they use it or not."""

ALIAS = "models"
"""Another name of ``rbp recipes``."""

CANNOT_WRITE = (errno.ENOSPC, errno.EFBIG, errno.EDQUOT, errno.EIO)

click.rich_click.PADDING_HELPTEXT_FIRST_LINE = (0, 0, 1, 0)


class Commands(click.RichGroup):
    """A group that lists its commands in their order of use, and names the nearest when one is misspelt."""

    def list_commands(self, ctx: Any) -> list[str]:
        """Return the names in the order in which the commands were added, without the alias of one."""
        return [name for name in self.commands if name != ALIAS]

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """Return the command, or fail with the nearest name."""
        if args[0] not in READING:
            _check_address_space()
        try:
            return super().resolve_command(ctx, args)
        except click.UsageError as error:
            sentence = f"There is no command {args[0]!r}.{nearest(args[0], self.commands)}"
            raise click.UsageError(sentence, ctx) from error

    def main(self, *arguments: Any, **options: Any) -> Any:
        """Do a command, whatever the streams, and whatever lies in the current folder."""
        prepare_streams()
        libraries_first()
        _show_log()
        return super().main(*arguments, **options)

    def invoke(self, ctx: Any) -> Any:
        """Run a command; an error is framed on a terminal, and one line elsewhere, so that logs can be searched."""
        try:
            return self._invoked(ctx)
        except RobustBenchPixError as error:
            if sys.stderr.isatty():
                raise click.ClickException(str(error)) from error
            click.echo(f"Error: {error}", err=True)
            ctx.exit(click.ClickException.exit_code)

    def _invoked(self, ctx: Any) -> Any:
        try:
            try:
                return super().invoke(ctx)
            finally:  # Also where a command ends with an exit code of its own.
                flush_output()
        except MemoryError as error:
            raise UserError("Memory ran out; --workers 1 and a smaller --size take less.") from error
        except OSError as error:
            if error.errno not in CANNOT_WRITE or error.filename is not None:
                raise
            discard_output()
            raise UserError(f"What is shown could not be written to standard output: {error.strerror}.") from error


class _Echo(logging.Handler):
    """Writes warnings of the package to standard error, a line each."""

    def emit(self, record: logging.LogRecord) -> None:
        click.echo(record.getMessage(), err=True)


def _show_log() -> None:
    logger = logging.getLogger("robustbench_pix")
    if not any(isinstance(handler, _Echo) for handler in logger.handlers):
        logger.addHandler(_Echo(logging.WARNING))


def _check_address_space() -> None:
    """Refuse an address space in which the libraries do not even load.

    Raises:
        UserError: it is limited to less.
    """
    try:
        import resource
    except ImportError:  # Windows has no such limits.
        return
    limit = resource.getrlimit(resource.RLIMIT_AS)[0]
    if limit != resource.RLIM_INFINITY and limit < LEAST_ADDRESS_SPACE_BYTES:
        raise UserError(
            f"This process may use {limit / 2**30:.1f} GiB of address space, too little for the libraries; "
            f"ulimit -v unlimited, or at least {LEAST_ADDRESS_SPACE_BYTES // 1024}, allows more."
        )


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="rbp")
def main() -> None:
    """Is that regularizer really robust? Train, attack and rank under the same batches and the same noise.

    \b
    Example, a few minutes on a laptop:
    $ rbp run
    """


COMMANDS = (
    run.run,
    run.evaluate,
    board.leaderboard,
    compare.compare,
    board.queries,
    run.transfer,
    board.corruptions,
    figures.figures,
    targets.targets,
    tune.tune,
    board.publish,
    verify.verify,
    verify.diff,
    show.show,
    status.status,
    listings.recipes,
    listings.attacks,
    listings.suites,
    listings.tasks,
    workspace.init,
    doctor.doctor,
    workspace.clean,
)

for command in COMMANDS:
    main.add_command(command)
main.add_command(listings.recipes, ALIAS)

"""The options that the scripts share."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from benchmarks.report import RESULTS

Command = Callable[..., Any]

device = click.option("--device", metavar="DEVICE", help="cpu, cuda or cuda:0; cuda where there is one.")
output = click.option("--output", type=click.Path(path_type=Path), default=RESULTS, help="The folder of the results.")
tiny = click.option(
    "--tiny", is_flag=True, help="Shrink all work to seconds, to see that it runs; the numbers mean nothing."
)


def of_a_device(command: Command) -> Command:
    """Give a command ``--device``, ``--output`` and ``--tiny``."""
    return device(output(tiny(command)))

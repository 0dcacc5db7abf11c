"""The command that makes a row of the board again, as provenance.json and the page state it."""

from typing import Any

from robustbench_pix.catalogue.workspace import FOLDERS, Workspace
from robustbench_pix.results.statistics.measured import BASELINE


def command_of(
    facts: dict[str, Any],
    seeds: list[int],
    *,
    checked: bool,
    given: dict[str, Any] | None,
    catalogue: Workspace,
) -> str:
    """Return the command of one row, with the options that are not what is done without them.

    That of a trained row runs ``unregularized`` on the same seeds, too: without it the row would have no gain. A rank
    needs the commands of all rows of the block.

    Args:
        facts: of the row, as its plan states them.
        seeds: those that were run.
        checked: whether its models were checked for masked gradients.
        given: of a given model the context of its run, or None for a trained one; files are named without folders.
        catalogue: whose tasks and suites say what is done without options.
    """
    combination = facts["task"] if facts["images"] == facts["task"] else f"{facts['task']}:{facts['images']}"
    if given is None:
        command = f"rbp run --suite {facts['suite']} --on {combination}"
        command += "".join(f" --recipe {name}" for name in dict.fromkeys([BASELINE, facts["recipe"]]))
        command += f" --seeds {','.join(map(str, seeds))}{',' if len(seeds) == 1 else ''}"
    else:
        weights = given.get("weights", "FILE")  # runs that were kept earlier do not say what it was called
        command = "rbp evaluate --model " + given["reference"].replace("\\", "/").rpartition("/")[2]
        command += f" --weights {weights}" if weights else ""
        command += f" --task {facts['task']} --suite {facts['suite']}"
        command += f" --images {facts['images']}" if facts["images"] != facts["task"] else ""
        command += f" --name {facts['recipe']}"
    command += f" --size {facts['size']}" if facts["size"] != "full" else ""
    known = facts["task"] in catalogue.names(FOLDERS["task"])
    if not known or catalogue.task(facts["task"]).colour != facts["colour"]:
        command += f" --colour {facts['colour']}"
    command += f" --precision {facts['precision']}" if facts["precision"] != "float32" else ""
    known = facts["suite"] in catalogue.names(FOLDERS["suite"])
    if checked != (known and catalogue.suite(facts["suite"]).check_gradients):
        command += " --check-gradients" if checked else " --no-check-gradients"
    return command

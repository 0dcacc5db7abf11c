"""The command that makes a row of the board again."""

from typing import Any

from robustbench_pix.catalogue.workspace import FOLDERS, Workspace


def command_of(
    facts: dict[str, Any], seeds: list[int], *, checked: bool, model: str | None, catalogue: Workspace
) -> str:
    """Return the command of one row, with the options that are not what is done without them.

    Args:
        facts: of the row, as its plan states them.
        seeds: those that were run.
        checked: whether its models were checked for masked gradients.
        model: what names a given model, or None for a trained one.
        catalogue: whose tasks and suites say what is done without options.
    """
    combination = facts["task"] if facts["images"] == facts["task"] else f"{facts['task']}:{facts['images']}"
    if model is None:
        command = f"rbp run --suite {facts['suite']} --on {combination} --recipe {facts['recipe']}"
        command += f" --seeds {','.join(map(str, seeds))}{',' if len(seeds) == 1 else ''}"
    else:
        command = f"rbp evaluate --model {model} --weights FILE --task {facts['task']} --suite {facts['suite']}"
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

"""The Python side: the same as on the command line, with a DataFrame as the result."""

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from robustbench_pix.catalogue.specs import Colour, Precision
from robustbench_pix.catalogue.workspace import Workspace
from robustbench_pix.data.base import default_root
from robustbench_pix.results.board import board
from robustbench_pix.runs.request import (
    DEFAULT_COMBINATIONS,
    DEFAULT_RECIPES,
    DEFAULT_SEEDS,
    DEFAULT_SUITE,
    Request,
    parse_combination,
    parse_seeds,
    request_of_given,
)
from robustbench_pix.runs.running import Means, run_request
from robustbench_pix.runs.store import Store
from robustbench_pix.runs.watching import LineWatcher


def run(
    *,
    suite: str = DEFAULT_SUITE,
    recipes: str | Sequence[str] = DEFAULT_RECIPES,
    on: str | Sequence[str] = DEFAULT_COMBINATIONS,
    seeds: str | int | Sequence[int] = DEFAULT_SEEDS,
    size: str = "full",
    colour: Colour | None = None,
    precision: Precision = "float32",
    check_gradients: bool | None = None,
    data_root: str | Path | None = None,
    workspace: str | Path = ".",
    device: str | None = None,
    executor: str = "processes",
    workers: int | None = None,
) -> pd.DataFrame:
    """Train and attack what is missing, and return the measurements.

    Args:
        suite, recipes: names in the catalogue.
        on: combinations such as ``"cifar10:natural"``; ``"mnist"`` is ``"mnist:mnist"``.
        seeds: a count (3 means 0, 1, 2) or the seeds themselves.
        size: ``"full"`` or a reduced size of the task, such as ``"small"``.
        colour: ``"gray"`` or ``"rgb"``; the task's own where absent.
        precision: arithmetic of the training.
        check_gradients: whether each model is also checked for masked gradients; as the suite says where absent.
        data_root: where data sets lie; else ``RBP_DATA``, else the user's cache folder.
        workspace: the folder with ``models/``, ``attacks/`` and ``runs/``.
        device: ``"cpu"``, ``"cuda"``, ``"cuda:0"``, ``"mps"``; CUDA where there is one.
        executor: ``"processes"`` or ``"inline"``; a script that uses processes must guard its main part with
            ``if __name__ == "__main__":``.
        workers: how many processes.

    Returns:
        One row for each model x attack x strength, with the columns of ``robustbench_pix.results.columns``.

    Raises:
        UserError: a name, a file, the data or a parameter is wrong; the sentence says how to mend it.
    """
    recipes, on = ([names] if isinstance(names, str) else list(names) for names in (recipes, on))
    text = str(seeds) if isinstance(seeds, (str, int)) else ",".join(map(str, seeds)) + ","
    request = Request(
        workspace=Workspace(Path(workspace)),
        suite=suite,
        recipes=tuple(dict.fromkeys(recipes)),
        combinations=tuple(dict.fromkeys(parse_combination(combination) for combination in on)),
        seeds=parse_seeds(text),
        size=size,
        colour=colour,
        precision=precision,
        check_gradients=check_gradients,
        data_root=Path(data_root).expanduser() if data_root else default_root(),
    )
    return _measured(request, Means(device, executor, workers))


def evaluate(
    model: str,
    *,
    task: str,
    weights: str | Path | None = None,
    name: str | None = None,
    images: str | None = None,
    suite: str = DEFAULT_SUITE,
    size: str = "full",
    colour: Colour | None = None,
    check_gradients: bool | None = None,
    data_root: str | Path | None = None,
    workspace: str | Path = ".",
    device: str | None = None,
    executor: str = "processes",
    workers: int | None = None,
) -> pd.DataFrame:
    """Attack somebody else's model, and return the measurements; its row joins the table of the workspace.

    Args:
        model: ``"package.module:function"`` or ``"file.py:function"``, from the current folder. Called without
            arguments, it returns a torch module that takes float32 images in [0, 1], (N, C, H, W), and returns
            logits, (N, classes).
        task: whose test images are attacked.
        weights: a ``.safetensors`` file, or a torch file, of which no code is run.
        name: of its row; the function's where absent.
        images: of the block in which the row stands; the task's where absent.
        suite, size, colour, check_gradients, data_root, workspace, device, executor, workers: see ``run``.

    Returns:
        One row for each attack x strength, with the columns of ``robustbench_pix.results.columns``.

    Raises:
        UserError: a name, a file, the model or its weights are wrong; the sentence says how to mend it.
    """
    request = request_of_given(
        model,
        weights,
        name,
        workspace=Workspace(Path(workspace)),
        suite=suite,
        task=task,
        images=images,
        size=size,
        colour=colour,
        data_root=Path(data_root).expanduser() if data_root else default_root(),
        check_gradients=check_gradients,
    )
    return _measured(request, Means(device, executor, workers))


def _measured(request: Request, means: Means) -> pd.DataFrame:
    watcher = LineWatcher()
    rows = run_request(request, means, watcher, report=watcher.say)
    return board(rows, Store(request.workspace.runs))[0]

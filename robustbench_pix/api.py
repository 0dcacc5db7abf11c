"""The Python side: the same as on the command line, with a DataFrame as the result."""

from collections.abc import Callable, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

import pandas as pd

from robustbench_pix.arguments import checked
from robustbench_pix.catalogue.specs import Colour, Precision
from robustbench_pix.results.from_runs import measured
from robustbench_pix.runs.progress import LineWatcher, Watcher
from robustbench_pix.runs.request import (
    DEFAULT_COMBINATIONS,
    DEFAULT_RECIPES,
    DEFAULT_SEEDS,
    EXECUTORS,
    Resources,
    RunConfig,
)
from robustbench_pix.runs.runner import run_config
from robustbench_pix.runs.store import Store


def run(
    *,
    suite: str = "blackbox",
    recipes: str | Sequence[str] = DEFAULT_RECIPES,
    on: str | Sequence[str] = DEFAULT_COMBINATIONS,
    seeds: str | int | Sequence[int] = DEFAULT_SEEDS,
    size: str = RunConfig.size,
    colour: Colour | None = None,
    precision: Precision = RunConfig.precision,
    check_gradients: bool | None = None,
    data_root: str | Path | None = None,
    workspace: str | Path = ".",
    device: str | None = None,
    executor: str = EXECUTORS[0],
    workers: int | None = None,
    cluster: str | Path | None = None,
    progress: bool = True,
) -> pd.DataFrame:
    """Train and attack what is missing, and return the measurements.

    Args:
        suite, recipes: names in the catalogue.
        on: tasks with regularization data, such as ``"cifar10:natural"``; ``"mnist"`` is ``"mnist:mnist"``.
        seeds: a count (3 means 0, 1, 2) or the seeds themselves.
        size: ``"full"`` or another size of the task, such as ``"reduced"``.
        colour: ``"gray"`` or ``"rgb"``; the task's own where absent.
        precision: arithmetic of the training.
        check_gradients: whether each model is checked for gradient masking; as the suite says where absent.
        data_root: where data sets lie; else ``RBP_DATA``, else the user's cache folder.
        workspace: the folder with ``models/``, ``attacks/`` and ``runs/``.
        device: ``"cpu"``, ``"cuda"``, ``"cuda:0"``, ``"mps"``; CUDA where there is one.
        executor: ``"processes"``, ``"inline"`` or ``"dask"``; processes do not import the script that calls this.
        workers: how many processes.
        cluster: a TOML file that describes a cluster of Dask, whose workers do the jobs.
        progress: whether lines about finished jobs are printed to standard error; else they are logged as INFO.

    Returns:
        One row for each model x attack x strength, with the columns of ``robustbench_pix.results.columns``.

    Raises:
        UserError: a name, a file, the data or a parameter is wrong; the sentence says how to mend it.
    """
    return _measured(*_configured(RunConfig.parse, locals()))


def evaluate(
    model: str,
    *,
    task: str,
    weights: str | Path | None = None,
    name: str | None = None,
    regularization_data: str | None = None,
    suite: str = "blackbox",
    size: str = RunConfig.size,
    colour: Colour | None = None,
    check_gradients: bool | None = None,
    data_root: str | Path | None = None,
    workspace: str | Path = ".",
    device: str | None = None,
    executor: str = EXECUTORS[0],
    workers: int | None = None,
    cluster: str | Path | None = None,
    replace: bool = False,
    progress: bool = True,
) -> pd.DataFrame:
    """Attack an external model, and return the measurements; its row joins the table of the workspace.

    Args:
        model: ``"package.module:function"`` or ``"file.py:function"``, from the current folder. Called without
            arguments, it returns a torch module that takes float32 images in [0, 1], (N, C, H, W), and returns
            logits, (N, classes).
        task: whose test images are attacked.
        weights: a ``.safetensors`` file, or a torch file, of which no code is run.
        name: of its row; the function's where absent.
        regularization_data: of the setting in which the row stands; the task's where absent.
        suite, size, colour, check_gradients, data_root, workspace: see ``run``.
        device, executor, workers, cluster, progress: see ``run``.
        replace: whether it takes the row of another model that has this name.

    Returns:
        One row for each attack x strength, with the columns of ``robustbench_pix.results.columns``.

    Raises:
        UserError: a name, a file, the model or its weights are wrong, or another model has this name; the sentence says
            how to mend it.
    """
    return _measured(*_configured(RunConfig.for_external, locals()))


def _configured(parse: Callable[..., RunConfig], stated: dict[str, Any]) -> tuple[RunConfig, Resources, Watcher]:
    """Return what the arguments of a function state, checked one by one."""
    stated = checked(stated)
    watcher = LineWatcher() if stated.pop("progress") else Watcher()
    resources = Resources(**{field.name: stated.pop(field.name) for field in fields(Resources)})
    return parse(**stated), resources, watcher


def _measured(config: RunConfig, resources: Resources, watcher: Watcher) -> pd.DataFrame:
    return measured(run_config(config, resources, watcher), Store(config.workspace.runs)).measurements

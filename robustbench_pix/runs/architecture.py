"""Which network a training trains: that of its task, or for a source model of a transfer attack another."""

import inspect
from pathlib import Path
from typing import Any, NamedTuple

from robustbench_pix.catalogue.registries import networks
from robustbench_pix.catalogue.specs import SourceSpec, TaskSpec


class Architecture(NamedTuple):
    """A reference to a network, the folder in which ``file.py:attribute`` is looked up, and the parameters."""

    reference: str
    folder: Path | None
    parameters: dict[str, Any]

    @property
    def identity(self) -> dict[str, Any]:
        """What it adds to the identity of a training."""
        source = networks.source(self.reference, self.folder)
        return {"network": self.reference, "network_source": source, "network_parameters": self.parameters}


def of_task(task: TaskSpec) -> Architecture:
    """Return the network of a task."""
    return Architecture(task.network, task.folder, task.network_parameters)


def of_source(source: SourceSpec, task: TaskSpec, folder: Path) -> Architecture:
    """Return the network of a source model; ``folder`` is that of the entry that states it.

    Another network than the task's has those of the task's parameters that it takes, such as width and input scaling.

    Raises:
        UserError: there is no such network.
    """
    if source.network is None:
        return Architecture(task.network, task.folder, {**task.network_parameters, **source.network_parameters})
    takes = inspect.signature(networks.load(source.network, folder)).parameters
    shared = {name: value for name, value in task.network_parameters.items() if name in takes}
    return Architecture(source.network, folder, {**shared, **source.network_parameters})

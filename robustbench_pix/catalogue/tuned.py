"""Tuned entries of a recipe: parameters for one combination, at one size and with one network."""

from dataclasses import dataclass, field
from typing import Any

from pydantic import BaseModel, ConfigDict, model_validator

from robustbench_pix.catalogue.specs import Parameters, Shown

EVERY = "*"
"""As the regularization data, or the size, of an entry: whatever it is."""


@dataclass(frozen=True)
class TuningScope:
    """What a training is of, as far as a tuned entry depends on it.

    Attributes:
        images: the regularization data.
        network: its reference; with ``own_network`` it is the one that the task states for this size.
    """

    task: str
    images: str
    size: str = "full"
    network: str = ""
    network_parameters: dict[str, Any] = field(default_factory=dict)
    own_network: bool = True


class Tuned(BaseModel):
    """Parameters for one combination: ``task``, ``images``, ``size``, ``network``, and whatever is overridden.

    Without ``images`` they hold whatever the regularization data, without ``size`` at ``full`` alone, and without
    ``network`` for the task's own network. With ``size = "*"`` they are settings of the task, such as the radius of its
    images, at every size and for every network: nothing that was tuned. ``source`` says where they come from.
    """

    model_config = ConfigDict(frozen=True, extra="allow", allow_inf_nan=False)

    task: str
    images: str = EVERY
    size: str = "full"
    network: str | None = None
    network_parameters: Parameters | None = None
    source: Shown = ""

    @model_validator(mode="after")
    def _of_a_network(self) -> "Tuned":
        if self.network_parameters is not None and self.network is None:
            raise ValueError("network_parameters belong to network; state both or neither")
        return self

    @property
    def parameters(self) -> dict[str, Any]:
        """The overriding parameters."""
        return dict(self.model_extra or {})

    @property
    def label(self) -> str:
        """What sentences and tables call the entry."""
        return f"{self.task}:{self.images}" + (f", {self.size}" if self.size != "full" else "")

    @property
    def is_setting(self) -> bool:
        """Whether it holds at every size, so that it was not tuned at one."""
        return self.size == EVERY

    def holds_for(self, scope: TuningScope) -> bool:
        """Return whether the parameters hold for a training."""
        if self.task != scope.task or self.images not in (scope.images, EVERY):
            return False
        if self.is_setting:
            return True
        stated = self.network, self.network_parameters or {}
        same = scope.own_network if self.network is None else stated == (scope.network, scope.network_parameters)
        return self.size == scope.size and same

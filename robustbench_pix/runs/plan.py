"""What a request comes to: jobs with content addresses, and the rows of the board that they fill."""

from dataclasses import dataclass, field
from typing import Any

from torch import nn

from robustbench_pix.runs.jobs import Job


@dataclass(frozen=True)
class Cell:
    """One model under one attack, or its check: where the outcome lies once it is there."""

    seed: int
    attack: str
    model: str
    run: str


@dataclass(frozen=True)
class Row:
    """One recipe on one combination: the facts of its row on the board, and its cells."""

    facts: dict[str, Any]
    cells: tuple[Cell, ...] = ()


@dataclass
class Plan:
    """The jobs of a request, each once and after those it needs, and its rows."""

    jobs: dict[str, Job] = field(default_factory=dict)
    rows: list[Row] = field(default_factory=list)
    local_code: bool = False
    """Whether a recipe or attack is defined in the running script, so that no other process can do its jobs."""
    given: dict[str, nn.Module] = field(default_factory=dict)
    """Given models by the names of their jobs, on the CPU, so that their weights are read once."""

    def add(self, job: Job) -> Job:
        """Add a job unless it is there already."""
        return self.jobs.setdefault(job.name, job)

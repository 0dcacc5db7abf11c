"""Jobs for another machine: the same identities, with the paths of their contexts under other folders."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel

from robustbench_pix.runs.job import Job

AnyJob = TypeVar("AnyJob", bound=Job)
Folders = Mapping[Path, Path]
"""Folders of here -> folders of there; the first that holds a path decides."""


def moved(job: AnyJob, folders: Folders) -> AnyJob:
    """Return a job whose context names places below other folders; paths below none of them stay as they are."""
    return replace(job, context=_moved(job.context, folders))


def _moved(value: Any, folders: Folders) -> Any:
    if isinstance(value, Path):
        for here, there in folders.items():
            if value.is_relative_to(here):
                return there / value.relative_to(here)
        return value
    if isinstance(value, BaseModel):
        stated = {name: _moved(getattr(value, name), folders) for name in value.model_fields_set}
        return value.model_copy(update=stated)
    if isinstance(value, dict):
        return {name: _moved(inner, folders) for name, inner in value.items()}
    return value

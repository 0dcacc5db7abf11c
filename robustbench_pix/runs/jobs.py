"""A job: what determines its numbers (the identity, which is its name), and what only helps to do it (the context)."""

import hashlib
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any, Literal

from torch import Tensor

from robustbench_pix.catalogue.registries import datasets
from robustbench_pix.catalogue.workspace import FOLDERS, Workspace
from robustbench_pix.data.base import ImageData, load_dataset
from robustbench_pix.data.preparation import regularization_images
from robustbench_pix.errors import UserError, unknown
from robustbench_pix.identity import DIGEST_LENGTH, digest


@dataclass(frozen=True)
class Job:
    """One training, one attack, one check of gradients, or a given model to keep.

    Attributes:
        identity: everything that changes its numbers, as JSON values; no path, device, name or worker.
        context: names for tables, and where code and data lie on this machine, as JSON values.
        needs: names of the jobs that must be finished first.
    """

    kind: Literal["train", "attack", "check", "given"]
    identity: dict[str, Any]
    context: dict[str, Any]
    needs: tuple[str, ...] = ()

    @cached_property
    def id(self) -> str:
        """The hash of the identity."""
        return digest(self.identity)

    @property
    def name(self) -> str:
        """The name of its run folder."""
        return f"{self.kind}-{self.id}"

    @property
    def title(self) -> str:
        """What a person calls it."""
        return str(self.context["title"])


def data_context(reference: str, folder: Path | None, root: Path, colour: str) -> dict[str, Any]:
    """Return what ``load`` needs to find a data set again in another process."""
    return {"reference": reference, "folder": place(folder), "root": place(root), "colour": colour}


def images_context(name: str, workspace: Workspace, root: Path, colour: str) -> dict[str, Any]:
    """Return what ``load`` needs to find regularization images: those of a task of that name, or of a data set.

    Raises:
        UserError: there is no such task and no such data set.
    """
    tasks = workspace.names(FOLDERS["task"])
    if name in tasks:
        task = workspace.task(name)
        return data_context(task.dataset, task.folder, root, colour)
    if name in datasets.names():
        return data_context(name, None, root, colour)
    raise unknown("set of images", name, {*tasks, *datasets.names()})


def load(context: dict[str, Any]) -> ImageData:
    """Load the data set of a context."""
    folder = Path(context["folder"]) if context["folder"] else None
    return load_dataset(context["reference"], folder, root=Path(context["root"]), colour=context["colour"])


def load_tested(job: Job, device: str) -> tuple[Tensor, Tensor, int]:
    """Return the test images of a job, float32 in [0, 1], (N, C, H, W), their labels, and how many classes there are.

    Raises:
        UserError: the data set has none.
    """
    data, limit = load(job.context["data"]), job.identity["test_images"]
    if data.test_images is None or data.test_labels is None:
        raise UserError(f"The task {job.identity['task']} has no test images to attack.")
    return data.test_images[:limit].to(device).float() / 255, data.test_labels[:limit].to(device), data.classes


def load_regularization_images(context: dict[str, Any]) -> Any:
    """Return the regularization images of a context that also states their ``count``, uint8 (N, C, H, W)."""
    return regularization_images(load(context), count=context["count"], colour=context["colour"])


def place(path: Path | None) -> str | None:
    """Return a path for a context: absolute, so that it holds in any current folder."""
    return str(path.expanduser().absolute()) if path else None


def file_identity(path: Path) -> dict[str, str]:
    """Return what of a file belongs to a job's identity: its name with its folder's, and the digest of its content."""
    state = path.stat()
    content = _content_digest(path, state.st_size, state.st_mtime_ns)
    return {"name": f"{path.parent.name}/{path.name}", "digest": content}


@lru_cache
def _content_digest(path: Path, size: int, modified_ns: int) -> str:
    """Return the digest of a file's content; size and time only tell when to read it again."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()[:DIGEST_LENGTH]


def optional_path(text: str | None) -> Path | None:
    """Return a path, or None for None."""
    return Path(text) if text else None

"""Where code and data lie: as a run is planned, and for a recorded run now.

A run folder states where they lay when it was made. Folders are renamed and copied since: so the place that the command
names comes first, then the workspace's own catalogue, and the recorded one last. Identities say whether it is the same.
"""

import hashlib
import os
from collections.abc import Iterator
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import Any

from torch import Tensor

from robustbench_pix.catalogue.registries import datasets
from robustbench_pix.catalogue.workspace import FOLDERS, Workspace
from robustbench_pix.data.base import ImageData, default_root, load_dataset
from robustbench_pix.data.preparation import RegularizationData, regularization_data
from robustbench_pix.errors import UserError, unknown
from robustbench_pix.identity import DIGEST_LENGTH
from robustbench_pix.runs.identities import FileIdentity
from robustbench_pix.runs.job import (
    AttackJob,
    CheckJob,
    CodeLocation,
    DataLocation,
    ImagesLocation,
    NearestJob,
)
from robustbench_pix.runs.store import Store


def code_locations(recorded: CodeLocation, store: Store, at_hand: CodeLocation | None) -> Iterator[CodeLocation]:
    """Yield where a model's code may be found, the most trusted first, each once."""
    workspace = store.root.absolute().parent
    own: list[dict[str, Any]] = [{"folder": workspace}]
    if not recorded.reference:
        recipe = {"recipe_folder": workspace / FOLDERS["recipe"]} if recorded.recipe_folder else {}
        own = [{"task_folder": workspace / FOLDERS[kind], **recipe} for kind in ("task", "attack")]
        own += [recipe]
    changes = [*([at_hand.stated] if at_hand else []), *own, {}]
    found = [recorded.model_copy(update=change) for change in changes]
    yield from (code for number, code in enumerate(found) if code not in found[:number])


def data_root_of(recorded: Path, at_hand: Path | None) -> Path:
    """Return where data sets lie: as the command or RBP_DATA says, else where they lay, else the default place."""
    if at_hand is not None:
        return at_hand
    return recorded if "RBP_DATA" not in os.environ and recorded.is_dir() else default_root()


def moved(job: AttackJob, store: Store, data_root: Path | None) -> AttackJob:
    """Return a recorded attack with its data, its file of images and its own code where they lie now."""
    context, attack, workspace = job.context, job.identity.attack, store.root.absolute().parent
    root = data_root_of(context.data.root, data_root)
    tasks, entry = workspace / FOLDERS["task"], workspace / FOLDERS["attack"] / context.attack_path.name
    of_own_code = (tasks / context.data.reference.rpartition(":")[0]).is_file()
    folder = place(tasks) if of_own_code else context.data.folder
    changes: dict[str, Any] = {"data": context.data.model_copy(update={"root": place(root), "folder": folder})}
    if (entry.parent / attack.attack.rpartition(":")[0]).is_file():
        changes["attack_path"] = place(entry)
    if context.file and attack.file and (file := root / attack.file.name).is_file():
        changes["file"] = place(file)
    return replace(job, context=context.model_copy(update=changes))


def images_location(
    name: str, workspace: Workspace, root: Path, colour: str, count: int, size: tuple[int, int] | None = None
) -> ImagesLocation:
    """Return where regularization data is found: that of a task of this name, or of a data set.

    ``size`` is the height and width of the task's images, to which those of a recording are brought.

    Raises:
        UserError: there is no such task and no such data set.
    """
    tasks = workspace.names(FOLDERS["task"])
    if name not in tasks and name not in datasets.names():
        raise unknown("regularization data", name, {*tasks, *datasets.names()})
    task = workspace.task(name) if name in tasks else None
    reference, folder = (task.dataset, place(task.folder)) if task else (name, None)
    return ImagesLocation(reference=reference, folder=folder, root=place(root), colour=colour, count=count, size=size)


def load(location: DataLocation) -> ImageData:
    """Load a data set, without its test images where the location says so."""
    data = load_dataset(location.reference, location.folder, root=location.root, colour=location.colour)
    return data if location.with_test else data.without_test


def load_tested(job: AttackJob | CheckJob | NearestJob, device: str) -> tuple[Tensor, Tensor, int]:
    """Return the test images of a job, float32 in [0, 1], (N, C, H, W), their labels, and how many classes there are.

    Raises:
        UserError: the data set has none.
    """
    data, limit = load(job.context.data), job.identity.test_images
    if data.test_images is None or data.test_labels is None:
        raise UserError(f"The task {job.identity.task} has no test images to attack.")
    return data.test_images[:limit].to(device).float() / 255, data.test_labels[:limit].to(device), data.classes


def load_regularization_data(location: ImagesLocation) -> RegularizationData:
    """Return regularization data: images, and their labels and recording where there are any."""
    data = load(location)
    return regularization_data(data, count=location.count, colour=location.colour, size=location.size)


def place(path: Path) -> Path:
    """Return a path for a context: absolute, so that it holds in any current folder."""
    return path.expanduser().absolute()


def file_identity(path: Path) -> FileIdentity:
    """Return what of a file belongs to a job's identity: its name with its folder's, and the digest of its content."""
    state = path.stat()
    content = _content_digest(path, state.st_size, state.st_mtime_ns)
    return FileIdentity(name=f"{path.parent.name}/{path.name}", digest=content)


@lru_cache
def _content_digest(path: Path, size: int, modified_ns: int) -> str:
    """Return the digest of a file's content; size and time only tell when to read it again."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()[:DIGEST_LENGTH]

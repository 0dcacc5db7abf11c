"""Whether the data sets that this worker finds are those that the jobs were planned with, by their digests."""

from collections.abc import Iterable

from robustbench_pix.catalogue.registries import regularizers
from robustbench_pix.data.base import ImageData
from robustbench_pix.errors import UserError
from robustbench_pix.recipes.contract import Recipe, needs_images
from robustbench_pix.runs.identities import ExternalIdentity, Regularization, TrainingIdentity
from robustbench_pix.runs.job import (
    AttackContext,
    AttackJob,
    BuildContext,
    Job,
    ModelContext,
    TrainingJob,
    recorded_job,
)
from robustbench_pix.runs.locations import file_identity, load, load_regularization_data
from robustbench_pix.runs.store import Store


def require_same_data(jobs: Iterable[Job], store: Store) -> None:
    """Load the data of jobs, which stays in memory, and compare it with what was planned.

    Raises:
        UserError: data is absent, or differs.
    """
    for job in jobs:
        context = job.context
        if isinstance(context, BuildContext | ModelContext):
            data = context.data
            if load(data).digest != _planned(job, store):
                raise _other(f"the data set {data.reference}", data.root)
        if isinstance(job, TrainingJob) and job.identity.regularization is not None:
            _check_regularization(job, job.identity.regularization)
        if isinstance(job, AttackJob) and isinstance(context, AttackContext) and context.file is not None:
            file, planned = context.file, job.identity.attack.file
            if not file.is_file() or file_identity(file) != planned:
                raise _other(f"the file {file.name} of {context.attack}", file.parent)


def _planned(job: Job, store: Store) -> str:
    """Return the digest of the data of a job: a training states it, and an attack has that of the model."""
    identity = job.identity if not job.needs else recorded_job(store.spec(job.needs[0])).identity
    if isinstance(identity, TrainingIdentity):
        return identity.task.dataset
    assert isinstance(identity, ExternalIdentity)
    return identity.dataset


def _check_regularization(job: TrainingJob, planned: Regularization) -> None:
    context, where = job.context, job.context.images_data
    target = regularizers.load(planned.regularizer, context.recipe_folder)
    data = load_regularization_data(where) if needs_images(target) else None
    if data is not None and ImageData(data.images).digest != planned.images:
        raise _other(f"the regularization data {where.reference}", where.root)
    if isinstance(target, type) and issubclass(target, Recipe):
        parameters, folder = context.recipe_parameters, context.recipe_folder
        found = target.check(parameters, folder, 0) if data is None else target.content(parameters, folder, data)
        if found != planned.files:
            raise _other(f"what {planned.regularizer} reads beside its images", folder)


def _other(what: str, where: object) -> UserError:
    return UserError(
        f"{what} at {where} is not the one that the client has; copy it there, or name another data_root in the file "
        "of --cluster."
    )

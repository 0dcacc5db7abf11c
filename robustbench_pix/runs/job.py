"""Jobs: what determines the result of each (its identity), and what only helps to compute it (its context)."""

from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Self

from pydantic import ConfigDict, Field, SerializerFunctionWrapHandler, ValidationError, model_serializer

from robustbench_pix.catalogue.specs import Spec
from robustbench_pix.errors import UserError
from robustbench_pix.runs.identities import (
    AttackIdentity,
    CheckIdentity,
    ExternalIdentity,
    Identity,
    Kind,
    NearestIdentity,
    TrainingIdentity,
    ValidationIdentity,
)


class Context(Spec):
    """Names for tables, and where code and data lie on this machine; fields of other versions are passed over."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    title: str


class DataLocation(Spec):
    """Where a data set is found again in another process; ``with_test`` says whether its test images may be read."""

    reference: str
    folder: Path | None
    root: Path
    colour: str
    with_test: bool = True


class ImagesLocation(DataLocation):
    """Where regularization data is found again, how many of its images are taken, and the size of the task's images.

    ``size``: height and width, to which the images of a recording are brought.
    """

    count: int
    size: tuple[int, int] | None = None


class CodeLocation(Spec):
    """Where the code of a model lies.

    Of an external model ``reference`` and ``folder``, else ``task_folder`` and, of what a recipe made of the network,
    ``recipe_folder``.
    """

    reference: str | None = None
    folder: Path | None = None
    task_folder: Path | None = None
    recipe_folder: Path | None = None

    @property
    def stated(self) -> dict[str, Any]:
        """The fields that are stated."""
        return {name: getattr(self, name) for name in self.model_fields_set}

    @model_serializer(mode="wrap")
    def _only_stated(self, values: SerializerFunctionWrapHandler) -> dict[str, Any]:
        found: dict[str, Any] = values(self)
        return {name: value for name, value in found.items() if name in self.model_fields_set}


class BuildContext(Context):
    """What helps to build a model."""

    data: DataLocation

    @property
    def code(self) -> CodeLocation:
        """Where the model's code lies."""
        fields = CodeLocation.model_fields.keys() & type(self).model_fields.keys()
        return CodeLocation(**{name: getattr(self, name) for name in fields})


class TrainingContext(BuildContext):
    """What helps to train; ``parameters`` are all of the recipe's, alpha and names of files included."""

    task: str
    task_folder: Path | None
    recipe: str
    recipe_folder: Path | None
    parameters: dict[str, Any]
    channels: int
    classes: int
    images_data: ImagesLocation

    @property
    def recipe_parameters(self) -> dict[str, Any]:
        """The parameters that the recipe takes."""
        return {name: value for name, value in self.parameters.items() if name != "alpha"}


class ExternalContext(BuildContext):
    """Where an external model comes from; ``weights`` is the name of a file."""

    reference: str
    folder: Path
    weights: str | None = None


class ModelContext(Context):
    """What helps to examine a model: the data, and where the code of models lies, by the names of their jobs."""

    data: DataLocation
    models: dict[str, CodeLocation] = Field(default_factory=dict)


class AttackContext(ModelContext):
    """What helps to attack; ``entries`` are those of an image, ``file`` holds images that are not computed."""

    attack: str
    attack_path: Path
    batch_dependent: bool
    file: Path | None
    entries: int


@dataclass(frozen=True)
class Job:
    """A piece of work with one result: a training, an attack, a check, a search, or an external model to store.

    Attributes:
        identity: everything that changes its numbers.
        context: what does not.
        needs: names of the jobs that must be finished first.
    """

    identity: Identity
    context: Context
    needs: tuple[str, ...] = ()

    @property
    def kind(self) -> Kind:
        """What is done."""
        return self.identity.kind

    @cached_property
    def id(self) -> str:
        """The hash of the identity."""
        return self.identity.id

    @property
    def name(self) -> str:
        """The name of its run folder."""
        return f"{self.kind}-{self.id}"

    @property
    def title(self) -> str:
        """What tables and progress lines call it."""
        return self.context.title

    @property
    def manifest(self) -> dict[str, Any]:
        """What spec.json says of it, as JSON values."""
        identity, context = (part.model_dump(mode="json") for part in (self.identity, self.context))
        return {"identity": identity, "context": context, "needs": list(self.needs)}


@dataclass(frozen=True)
class ModelJob(Job):
    """A job whose result is a model."""

    context: BuildContext

    def with_code(self, code: CodeLocation) -> Self:
        """Return the job with the code of its model elsewhere."""
        return replace(self, context=self.context.model_copy(update=code.stated))


@dataclass(frozen=True)
class TrainingJob(ModelJob):
    """The training of a model."""

    identity: TrainingIdentity
    context: TrainingContext


@dataclass(frozen=True)
class ExternalJob(ModelJob):
    """An external model to store."""

    identity: ExternalIdentity
    context: ExternalContext


@dataclass(frozen=True)
class AttackJob(Job):
    """An attack on a model; of a transfer attack, the source models follow the victim in ``needs``."""

    identity: AttackIdentity
    context: AttackContext


@dataclass(frozen=True)
class ValidationJob(Job):
    """An attack on a model's own validation images, by which parameters are tuned."""

    identity: ValidationIdentity
    context: AttackContext


@dataclass(frozen=True)
class CheckJob(Job):
    """A check of a model for gradient masking, beside a source model."""

    identity: CheckIdentity
    context: ModelContext


@dataclass(frozen=True)
class NearestJob(Job):
    """A search of the smallest known distances of a model's test images."""

    identity: NearestIdentity
    context: ModelContext


def recorded_job(spec: dict[str, Any]) -> Job:
    """Return the job that a spec.json records.

    Raises:
        UserError: it was recorded by another version.
    """
    try:
        job, identity, context = JOBS[spec["identity"]["kind"]]
        return job(identity(**spec["identity"]), context(**spec["context"]), tuple(spec["needs"]))
    except (ValidationError, KeyError, TypeError) as error:
        title = spec["context"].get("title", spec["identity"]["kind"])
        raise UserError(f"The run {title!r} was recorded by another version; run the same command again.") from error


JOBS: dict[str, tuple[type[Job], type[Identity], type[Context]]] = {
    "train": (TrainingJob, TrainingIdentity, TrainingContext),
    "given": (ExternalJob, ExternalIdentity, ExternalContext),
    "attack": (AttackJob, AttackIdentity, AttackContext),
    "validation": (ValidationJob, ValidationIdentity, AttackContext),
    "check": (CheckJob, CheckIdentity, ModelContext),
    "nearest": (NearestJob, NearestIdentity, ModelContext),
}

"""The specifications that catalogue files state, checked field by field: tasks, attacks and suites."""

from functools import partial
from pathlib import Path
from typing import Annotated, Any, Literal, get_args

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    PositiveFloat,
    PositiveInt,
    ValidationInfo,
    field_validator,
    model_validator,
)

from robustbench_pix.catalogue.findings import json_values, nested, together
from robustbench_pix.catalogue.strengths import StatedStrengths, Strengths, check_radii
from robustbench_pix.errors import short

Access = Literal["none", "transfer", "decisions", "scores", "gradients"]
Colour = Literal["gray", "rgb"]
Precision = Literal["float32", "tf32", "bfloat16"]
Protocol = Literal["strict", "paper"]
Parameters = Annotated[dict[str, Any], AfterValidator(json_values)]

NO_ACCESS: Access = "none"
"""The access of noise and other changes that no adversary chooses."""

THREATS = dict(
    zip(get_args(Access), ("no access", "transfer", "decision-based", "score-based", "white box"), strict=True)
)
"""Access -> the field's name of the threat model."""


def _shown(text: str) -> str:
    if not text.replace("\n", " ").replace("\t", " ").isprintable():
        raise ValueError(f"must be made of printable characters (got {short(text)})")
    return text


Shown = Annotated[str, AfterValidator(_shown)]
"""Text for a terminal and for tables."""


class Spec(BaseModel):
    """A frozen record; an unknown field is an error, never ignored."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class CatalogueSpec(Spec):
    """What every catalogue file has: a name (the file's), the file, a summary, and where the idea comes from."""

    name: str
    path: Path
    summary: Shown
    reference: Shown = ""

    @property
    def folder(self) -> Path:
        """The folder in which ``file.py:attribute`` is looked up."""
        return self.path.parent


class TrainingSpec(Spec):
    """The training protocol of a task, the same for every recipe."""

    epochs: PositiveInt
    batch_size: PositiveInt = 64
    minimum_batch: PositiveInt = 1
    learning_rate: PositiveFloat = 0.1
    momentum: float = Field(default=0.9, ge=0, lt=1)
    weight_decay: float = Field(default=0.0, ge=0)
    decay: float = Field(default=0.3, gt=0, le=1)
    decay_every: PositiveInt = 4
    restart_every: PositiveInt = 20
    validation_fraction: float = Field(default=0.01, gt=0, lt=0.5)
    augmentation: Literal["none", "crop-and-flip"] = "none"
    regularization_images: int = Field(default=5000, ge=2)
    train_images: PositiveInt | None = None
    test_images: PositiveInt | None = None

    @model_validator(mode="after")
    def _batches(self) -> "TrainingSpec":
        if self.minimum_batch > self.batch_size:
            raise ValueError("minimum_batch is larger than batch_size, so no batch would be left")
        return self


class TaskSpec(CatalogueSpec):
    """A labelled data set with its training protocol."""

    dataset: str
    network: str
    network_parameters: Parameters = {}
    colour: Colour = "gray"
    training: TrainingSpec
    sizes: dict[str, dict[str, Any]] = {}

    @field_validator("sizes")
    @classmethod
    def _sizes(cls, sizes: dict[str, dict[str, Any]], info: ValidationInfo) -> dict[str, dict[str, Any]]:
        _refuse_full(sizes)
        if "training" in info.data:
            together(partial(_training_at, info.data["training"], overrides, size) for size, overrides in sizes.items())
        return sizes

    def at_size(self, size: str) -> "TaskSpec":
        """Return the task at a size: ``full`` as it stands, any other with that size's overrides."""
        if size == "full":
            return self
        training, network_parameters = _training_at(self.training, self.sizes[size], size)
        merged = {**self.network_parameters, **network_parameters}
        return self.model_copy(update={"training": training, "network_parameters": merged})


class _SizeOfTraining(TrainingSpec):
    """What a size of a task may override: the training protocol, and parameters of the network."""

    network_parameters: Parameters = {}


def _training_at(training: TrainingSpec, overrides: dict[str, Any], size: str) -> tuple[TrainingSpec, dict[str, Any]]:
    merged = nested(_SizeOfTraining, {**training.model_dump(), **overrides}, f"sizes.{size}").model_dump()
    network_parameters = merged.pop("network_parameters")
    return TrainingSpec(**merged), network_parameters


def _refuse_full(sizes: dict[str, dict[str, Any]]) -> None:
    if "full" in sizes:
        raise ValueError("full is the size without overrides; give these another name")


class EvaluationSpec(Spec):
    """How the harness applies an attack, whatever the attack.

    ``images``: how many test images, drawn by a fixed key (all where absent); ``batch_size``: images handed to an
    attack library at once; ``seed``: of the attack's random streams; ``start_directions``: uniform noises tried for a
    starting point before a test image of another class is taken; ``budget``: queries of an image that are answered, as
    the harness counts them (no limit where absent).
    """

    images: PositiveInt | None = None
    repetitions: PositiveInt = 1
    batch_size: PositiveInt = 64
    seed: int = Field(default=0, ge=0)
    start_directions: PositiveInt = 50
    budget: PositiveInt | None = None


class SourceSpec(Spec):
    """A model whose gradients a transfer attack takes: what it was trained with, on the combination of the victims.

    ``network``: another than the task's; the task's network parameters hold for it where it takes them, and
    ``network_parameters`` above all. ``seed`` counts source models from 0; no victim ever has the seed of one.
    """

    recipe: str = "unregularized"
    network: str | None = None
    network_parameters: Parameters = {}
    seed: int = Field(default=0, ge=0, lt=1_000_000)


class AttackSpec(CatalogueSpec):
    """A way to perturb images, the access it needs, and its strengths for each task.

    ``sources``: of a transfer attack; the gradient is that of the mean of their logits. Where absent, one unregularized
    model of the task's own network.
    """

    attack: str
    access: Access
    sources: tuple[SourceSpec, ...] = ()
    strength: str = Field(pattern=r"^[a-z][a-z0-9-]*$")
    strengths: dict[str, StatedStrengths] = {}
    parameters: Parameters = {}
    evaluation: EvaluationSpec = EvaluationSpec()
    sizes: dict[str, dict[str, Any]] = {}

    @field_validator("sources")
    @classmethod
    def _of_transfer(cls, sources: tuple[SourceSpec, ...], info: ValidationInfo) -> tuple[SourceSpec, ...]:
        if sources and info.data.get("access", "transfer") != "transfer":
            raise ValueError('belong to access = "transfer", and to no other')
        if any(source in sources[:place] for place, source in enumerate(sources)):
            raise ValueError("names a model twice")
        return sources

    @field_validator("strengths")
    @classmethod
    def _radii(cls, strengths: dict[str, Strengths], info: ValidationInfo) -> dict[str, Strengths]:
        kind = info.data.get("strength", "")
        together(partial(check_radii, stated, kind, f"strengths.{task}") for task, stated in strengths.items())
        return strengths

    @field_validator("sizes")
    @classmethod
    def _sizes(cls, sizes: dict[str, dict[str, Any]], info: ValidationInfo) -> dict[str, dict[str, Any]]:
        _refuse_full(sizes)
        if "evaluation" in info.data:
            fields = info.data["evaluation"].model_dump()
            together(partial(nested, EvaluationSpec, fields | own, f"sizes.{size}") for size, own in sizes.items())
        return sizes

    @model_validator(mode="after")
    def _budget(self) -> "AttackSpec":
        if self.evaluation.budget and self.access in ("none", "transfer"):
            raise ValueError(f'evaluation.budget is of queries, and access = "{self.access}" makes no queries')
        return self

    def at_size(self, size: str) -> "AttackSpec":
        """Return the attack at a size of the task; sizes may override the fields of ``evaluation``."""
        fields = {**self.evaluation.model_dump(), **self.sizes.get(size, {})}
        return self.model_copy(update={"evaluation": EvaluationSpec(**fields)})

    def strengths_for(self, task: str) -> tuple[float, ...]:
        """Return the strengths for a task, the default ones, or an empty tuple where only a distance is reported."""
        return self._stated(task).values

    def range_from(self, task: str) -> float:
        """Return the strength from which the area under the accuracy counts on a task."""
        return self._stated(task).range_from

    def _stated(self, task: str) -> Strengths:
        return self.strengths.get(task, self.strengths.get("default", Strengths(())))


class SuiteSpec(CatalogueSpec):
    """A versioned list of attacks under one protocol.

    ``check_gradients``: whether each model is checked for gradient masking, unless a run says otherwise.
    """

    version: PositiveInt
    protocol: Protocol = "strict"
    check_gradients: bool = False
    attacks: tuple[str, ...] = Field(min_length=1)

    @field_validator("attacks")
    @classmethod
    def _once(cls, attacks: tuple[str, ...]) -> tuple[str, ...]:
        if len(set(attacks)) != len(attacks):
            raise ValueError("names an attack twice")
        if "worst-case" in attacks:
            raise ValueError("names worst-case, which stands for all attacks of a suite at once")
        return attacks

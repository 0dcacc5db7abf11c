"""What determines the result of each kind of job: frozen records, which spec.json holds and which are hashed.

The name of a job is the hash of its record, so nothing that changes a number may be missing, and nothing else may be in
it: no path, device, name or worker.
"""

from importlib.metadata import version
from typing import Any, Literal

from pydantic import Field, SerializerFunctionWrapHandler, model_serializer, model_validator

from robustbench_pix.catalogue.specs import (
    Access,
    Colour,
    EvaluationSpec,
    Parameters,
    Precision,
    Protocol,
    Spec,
    TrainingSpec,
)
from robustbench_pix.identity import CHECK_VERSION, NEAREST_VERSION, NUMERICS_VERSION, RECORD_VERSION, digest

Kind = Literal["train", "attack", "validation", "check", "nearest", "given"]

OUTSIDE_TRAINING = frozenset({"test_images", "regularization_images"})
"""Fields of a training protocol that change no training; the images themselves are identified by their digest."""


class Identity(Spec):
    """Everything that changes the numbers of a job."""

    kind: Kind
    numerics: int = NUMERICS_VERSION

    @property
    def id(self) -> str:
        """The hash of the record."""
        return digest(self.model_dump(mode="json"))


class TrainedTask(Spec):
    """What a task adds to a training; ``dataset`` is the digest of the data, ``network_source`` that of own code."""

    dataset: str
    network: str
    network_source: str | None
    network_parameters: Parameters
    training: TrainingSpec
    colour: Colour

    @model_serializer(mode="wrap")
    def _without_the_rest(self, values: SerializerFunctionWrapHandler) -> dict[str, Any]:
        found: dict[str, Any] = values(self)
        training = {name: value for name, value in found["training"].items() if name not in OUTSIDE_TRAINING}
        return {**found, "training": training}


class Regularization(Spec):
    """What a recipe adds to a training: a network, batches, a loss, ``alpha`` times a penalty, by its parameters.

    ``files`` and ``images`` are digests: of the files that parameters name, with what regularization data carry beside
    their images, and of these images, where the recipe is trained with them. ``own_network`` says whether the recipe
    wraps or replaces the task's network.
    """

    regularizer: str
    source: str | None
    files: str | None
    alpha: float = Field(ge=0)
    parameters: Parameters
    images: str | None = None
    own_network: bool = False

    @model_validator(mode="before")
    @classmethod
    def _from_parameters(cls, fields: dict[str, Any]) -> dict[str, Any]:
        """Take alpha from the parameters, beside which spec.json states it."""
        if "alpha" in fields:
            return fields
        stated = dict(fields["parameters"])
        return {**fields, "alpha": stated.pop("alpha"), "parameters": stated}

    @model_serializer(mode="wrap")
    def _into_parameters(self, values: SerializerFunctionWrapHandler) -> dict[str, Any]:
        found: dict[str, Any] = values(self)
        alpha = found.pop("alpha")
        found = {name: value for name, value in found.items() if name not in ("images", "own_network") or value}
        return {**found, "parameters": {**found["parameters"], "alpha": alpha}}


class TrainingIdentity(Identity):
    """What determines a trained model."""

    kind: Literal["train"] = "train"
    task: TrainedTask
    seed: int
    precision: Precision
    regularization: Regularization | None


class FileIdentity(Spec):
    """What of a file changes numbers: its name with its folder's, and the digest of its content."""

    name: str
    digest: str


class AttackDefinition(Spec):
    """An attack as it is carried out on a task; fields that are None are left out of spec.json, and of the hash."""

    attack: str
    source: str | None
    engine_version: str | None
    access: Access
    strength: str
    strengths: tuple[float, ...]
    parameters: Parameters
    evaluation: EvaluationSpec
    range_from: float | None = None
    sources: tuple[str, ...] | None = None
    file: FileIdentity | None = None

    @model_serializer(mode="wrap")
    def _stated(self, values: SerializerFunctionWrapHandler) -> dict[str, Any]:
        found: dict[str, Any] = values(self)
        optional = ("range_from", "sources", "file")
        return {name: value for name, value in found.items() if name not in optional or value is not None}


class AttackIdentity(Identity):
    """What determines the outcome of an attack on a model."""

    kind: Literal["attack"] = "attack"
    record: int = RECORD_VERSION
    model: str
    source: str | None
    task: str
    test_images: int | None
    protocol: Protocol
    attack: AttackDefinition


class ValidationIdentity(Identity):
    """What determines the outcome of an attack on validation images of a model; ``images`` are judged at most."""

    kind: Literal["validation"] = "validation"
    record: int = RECORD_VERSION
    model: str
    task: str
    images: int
    protocol: Protocol = "strict"
    attack: AttackDefinition


class CheckIdentity(Identity):
    """What determines a check of a model for gradient masking."""

    kind: Literal["check"] = "check"
    check: int = CHECK_VERSION
    model: str
    source: str
    task: str
    test_images: int | None
    radii: tuple[float, float]


class NearestIdentity(Identity):
    """What determines a search of smallest distances: the same for every attack on a model and its test images."""

    kind: Literal["nearest"] = "nearest"
    nearest: int = NEAREST_VERSION
    model: str
    task: str
    test_images: int | None
    engine_version: str

    @classmethod
    def of(cls, attack: AttackIdentity) -> "NearestIdentity":
        """Return the search that belongs to an attack."""
        shared = attack.model_dump(include={"numerics", "model", "task", "test_images"})
        return cls(**shared, engine_version=version("foolbox"))


class ExternalIdentity(Identity):
    """What tells an external model from others; see ``model_fingerprint``."""

    kind: Literal["given"] = "given"
    model: str
    code: tuple[str, ...]
    weights: str | None
    answers: str | None = None
    dataset: str

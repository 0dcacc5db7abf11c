"""The trainings of one combination: what is added to which network, on which data, from which seed."""

from pathlib import Path
from typing import Any

from robustbench_pix.catalogue.registries import datasets, networks, regularizers
from robustbench_pix.catalogue.specs import AttackSpec, RecipeSpec, SourceSpec, TaskSpec
from robustbench_pix.data.base import ImageData, load_dataset
from robustbench_pix.errors import UserError
from robustbench_pix.identity import NUMERICS_VERSION
from robustbench_pix.regularizers.base import Regularizer
from robustbench_pix.runs import architecture
from robustbench_pix.runs.architecture import Architecture
from robustbench_pix.runs.jobs import Job, data_context, images_context, load_regularization_images, place
from robustbench_pix.runs.request import SOURCE_SEED, Combination, Request


class Trainings:
    """Makes the training jobs of one combination.

    Attributes:
        data: the labelled data set of the task.
        own: the network of the task.
        local_code: whether something named is defined in the running script, so that no other process can do its jobs.

    Raises:
        UserError: data is missing, or has no labels or no test images.
    """

    def __init__(self, request: Request, task: TaskSpec, combination: Combination) -> None:
        self.request, self.task, self.combination = request, task, combination
        self.colour = request.colour or task.colour
        self.data = load_dataset(task.dataset, task.folder, root=request.data_root, colour=self.colour)
        if self.data.train_labels is None or self.data.test_images is None:
            raise UserError(f"The data set {task.dataset!r} of the task {task.name} has no labels or no test images.")
        self.own = architecture.of_task(task)
        self.local_code = datasets.portable(task.dataset) is None
        self.images_context = {
            **images_context(combination.images, request.workspace, request.data_root, self.colour),
            "count": task.training.regularization_images,
        }
        self.images_digest: str | None = None

    def regularization(
        self, recipe: RecipeSpec, parameters: dict[str, Any]
    ) -> tuple[dict[str, Any] | None, str | None]:
        """Return what a recipe adds to training, None for nothing, or the reason why it cannot run."""
        if recipe.regularizer is None or parameters["alpha"] == 0:
            return None, None
        target = regularizers.load(recipe.regularizer, recipe.folder)
        reference = regularizers.portable(recipe.regularizer)
        self.local_code |= reference is None
        files, named = None, frozenset[str]()
        if isinstance(target, type) and issubclass(target, Regularizer):
            try:
                reason = target.unavailable(parameters, recipe.folder)
                if reason:
                    return None, reason
                files, named = target.check(parameters, recipe.folder, len(self._images())), target.file_parameters
            except ValueError as error:
                raise UserError(f"{recipe.path}: {recipe.regularizer} refused its parameters: {error}.") from error
        return {
            "regularizer": reference or recipe.regularizer,
            "source": regularizers.source(recipe.regularizer, recipe.folder),
            "files": files,
            "parameters": {key: value for key, value in parameters.items() if key not in named and value is not None},
            "images": self._digest_of_images(),
        }, None

    def training(
        self,
        recipe: RecipeSpec | None,
        parameters: dict[str, Any],
        regularization: dict[str, Any] | None,
        seed: int,
        network: Architecture,
    ) -> Job:
        """Return a training; the source models of attacks, without a recipe, have the same job in every combination."""
        identity = {
            "numerics": NUMERICS_VERSION,
            "kind": "train",
            "task": self.task_identity(network),
            "seed": seed,
            "precision": self.request.precision,
            "regularization": regularization,
        }
        name = recipe.name if recipe else "source model"
        other = "" if network.reference == self.own.reference else f" ({network.reference})"
        on = str(self.combination) if regularization else self.task.name
        context = {
            "title": f"train {name}{other} on {on}{self.size}, seed {seed}",
            "task": self.task.name,
            "task_folder": place(network.folder),
            "recipe": name,
            "recipe_folder": place(recipe.folder) if recipe else None,
            "parameters": parameters,
            "channels": self.data.train_images.shape[1],
            "classes": self.data.classes,
            "data": self.data_context,
            "images_data": self.images_context,
        }
        return Job("train", identity, context)

    def sources(self, spec: AttackSpec) -> list[Job]:
        """Return the trainings of the models whose gradients a transfer attack takes.

        Raises:
            UserError: there is no such recipe or network, or a recipe cannot run.
        """
        try:
            return [self._source(source, spec.folder) for source in spec.sources or (SourceSpec(),)]
        except UserError as error:
            raise UserError(f"A source model of {spec.name} is in the way: {error}") from error

    def _source(self, source: SourceSpec, folder: Path) -> Job:
        recipe = self.request.workspace.recipe(source.recipe)
        parameters = recipe.resolved_parameters(self.task.name, self.combination.images)
        regularization, reason = self.regularization(recipe, parameters)
        if reason:
            raise UserError(f"The recipe {recipe.name} cannot run: it {reason}.")
        network = architecture.of_source(source, self.task, folder)
        trained_with = recipe if regularization else None
        return self.training(trained_with, parameters, regularization, SOURCE_SEED + source.seed, network)

    def task_identity(self, network: Architecture) -> dict[str, Any]:
        """Return what the task adds to the identity of a training of this network."""
        self.local_code |= networks.portable(network.reference) is None
        return {
            "dataset": self.data.digest,
            **network.identity,
            "training": self.task.training.model_dump(exclude={"test_images", "regularization_images"}),
            "colour": self.colour,
        }

    @property
    def size(self) -> str:
        """The size of the task for a title, unless it is full."""
        return "" if self.request.size == "full" else f", {self.request.size}"

    @property
    def data_context(self) -> dict[str, Any]:
        """Where the data set of the task is found again."""
        return data_context(self.task.dataset, self.task.folder, self.request.data_root, self.colour)

    def _images(self) -> Any:
        return load_regularization_images(self.images_context)

    def _digest_of_images(self) -> str:
        if self.images_digest is None:
            self.images_digest = ImageData(self._images()).digest
        return self.images_digest

"""Plan the trainings of one combination: what is added to which network, on which data, from which seed."""

import inspect
from pathlib import Path
from typing import Any, NamedTuple

from robustbench_pix.catalogue.recipe_spec import RecipeSpec
from robustbench_pix.catalogue.registries import datasets, networks, regularizers
from robustbench_pix.catalogue.regularizer_parameters import Penalty
from robustbench_pix.catalogue.specs import AttackSpec, SourceSpec, TaskSpec
from robustbench_pix.catalogue.tuned import TuningScope
from robustbench_pix.data.base import ImageData, load_dataset
from robustbench_pix.data.preparation import RegularizationData
from robustbench_pix.errors import UserError
from robustbench_pix.foreign import foreign_code
from robustbench_pix.recipes.building import require_known_parameters
from robustbench_pix.recipes.contract import Recipe, defines, needs_images, remains_without_penalty
from robustbench_pix.runs.identities import Regularization, TrainedTask, TrainingIdentity
from robustbench_pix.runs.job import DataLocation, TrainingContext, TrainingJob
from robustbench_pix.runs.locations import images_location, load_regularization_data, place
from robustbench_pix.runs.request import SOURCE_SEED, Combination, RunConfig


class Architecture(NamedTuple):
    """A reference to a network, the folder in which ``file.py:attribute`` is looked up, and the parameters."""

    reference: str
    folder: Path
    parameters: dict[str, Any]


def of_source(source: SourceSpec, task: TaskSpec, folder: Path) -> Architecture:
    """Return the network of a source model; ``folder`` is that of the entry that states it.

    Another network than the task's has those of the task's parameters that it takes, such as width and input scaling.

    Raises:
        UserError: there is no such network.
    """
    if source.network is None:
        return Architecture(task.network, task.folder, {**task.network_parameters, **source.network_parameters})
    takes = inspect.signature(networks.load(source.network, folder)).parameters
    shared = {name: value for name, value in task.network_parameters.items() if name in takes}
    return Architecture(source.network, folder, {**shared, **source.network_parameters})


class TrainingPlanner:
    """Plans the training jobs of one combination.

    Without ``with_test`` the data is loaded without its test images, in this process and wherever the jobs are done.

    Attributes:
        data: the labelled data set of the task.
        own: the network of the task.
        local_code: whether something named is defined in the running script, so that no other process can do its jobs.

    Raises:
        UserError: data is missing, or has no labels or no test images.
    """

    def __init__(self, config: RunConfig, task: TaskSpec, combination: Combination, *, with_test: bool = True) -> None:
        self.config, self.task, self.combination = config, task, combination
        self.colour = config.colour or task.colour
        whole = load_dataset(task.dataset, task.folder, root=config.data_folder, colour=self.colour)
        if whole.train_labels is None or not whole.has_test:
            raise UserError(f"The data set {task.dataset!r} of the task {task.name} has no labels or no test images.")
        self.data = whole if with_test else whole.without_test
        self.own = Architecture(task.network, task.folder, task.network_parameters)
        self.local_code = datasets.portable(task.dataset) is None
        self.data_location = DataLocation(
            reference=task.dataset,
            folder=place(task.folder),
            root=place(config.data_folder),
            colour=self.colour,
            with_test=with_test,
        )
        self.images_location = images_location(
            combination.regularization_data,
            config.workspace,
            config.data_folder,
            self.colour,
            task.training.regularization_images,
            (self.data.train_images.shape[2], self.data.train_images.shape[3]),
        ).model_copy(update={"with_test": with_test})
        self.images_digest: str | None = None

    def scope(self, network: Architecture) -> TuningScope:
        """Return what a tuned entry must hold for in a training of this network."""
        return TuningScope(
            task=self.task.name,
            images=self.combination.regularization_data,
            size=self.config.size,
            network=network.reference,
            network_parameters=network.parameters,
            own_network=(network.reference, network.parameters) == (self.own.reference, self.own.parameters),
        )

    def regularization(self, recipe: RecipeSpec, penalty: Penalty | None) -> tuple[Regularization | None, str | None]:
        """Return what a recipe adds to training, None for nothing, or the reason why it cannot run."""
        if recipe.regularizer is None or penalty is None:
            return None, None
        target = regularizers.load(recipe.regularizer, recipe.folder)
        if penalty.alpha == 0 and not remains_without_penalty(target):
            return None, None
        reference = regularizers.portable(recipe.regularizer)
        self.local_code |= reference is None
        parameters, files, named = penalty.parameters, None, frozenset[str]()
        with_images = needs_images(target)
        try:
            require_known_parameters(target, parameters, recipe.name)
            if isinstance(target, type) and issubclass(target, Recipe):
                data = self._images() if with_images else None
                if reason := unable(target, parameters, recipe.folder, data):
                    return None, reason
                files, named = checked(target, recipe, parameters, data), target.file_parameters
            return Regularization(
                regularizer=reference or recipe.regularizer,
                source=regularizers.source(recipe.regularizer, recipe.folder),
                files=files,
                alpha=penalty.alpha,
                parameters={key: value for key, value in parameters.items() if key not in named and value is not None},
                images=self._digest_of_images() if with_images else None,
                own_network=defines(target, "network"),
            ), None
        except ValueError as error:
            raise UserError(f"{recipe.path}: {recipe.regularizer} refused its parameters: {error}.") from error

    def trained_on(self, recipe: RecipeSpec) -> tuple[str, ...]:
        """Return the attacks, as they are registered, on whose images a recipe trains."""
        if recipe.regularizer is None:
            return ()
        named: tuple[str, ...] = getattr(regularizers.load(recipe.regularizer, recipe.folder), "trained_on", ())
        return named

    def training(
        self,
        recipe: RecipeSpec | None,
        penalty: Penalty | None,
        regularization: Regularization | None,
        seed: int,
        network: Architecture,
    ) -> TrainingJob:
        """Return a training; the source models of attacks, without a recipe, have the same job in every combination."""
        identity = TrainingIdentity(
            task=self.task_identity(network),
            seed=seed,
            precision=self.config.precision,
            regularization=regularization,
        )
        name = recipe.name if recipe else "source model"
        other = "" if network.reference == self.own.reference else f" ({network.reference})"
        on = str(self.combination) if regularization and regularization.images else self.task.name
        context = TrainingContext(
            title=f"train {name}{other} on {on}{self.size}, seed {seed}",
            task=self.task.name,
            task_folder=place(network.folder),
            recipe=name,
            recipe_folder=place(recipe.folder) if recipe else None,
            parameters=penalty.stated if penalty else {},
            channels=self.data.train_images.shape[1],
            classes=self.data.classes,
            data=self.data_location,
            images_data=self.images_location,
        )
        return TrainingJob(identity, context)

    def sources(self, spec: AttackSpec) -> list[TrainingJob]:
        """Return the trainings of the models whose gradients a transfer attack takes.

        Raises:
            UserError: there is no such recipe or network, or a recipe cannot run.
        """
        try:
            return [self._source(source, spec.folder) for source in spec.sources or (SourceSpec(),)]
        except UserError as error:
            raise UserError(f"Cannot build a source model for {spec.name}: {error}") from error

    def _source(self, source: SourceSpec, folder: Path) -> TrainingJob:
        recipe = self.config.workspace.recipe(source.recipe)
        network = of_source(source, self.task, folder)
        penalty = recipe.penalty(self.scope(network))
        regularization, reason = self.regularization(recipe, penalty)
        if reason:
            raise UserError(f"The recipe {recipe.name} cannot run: it {reason}.")
        trained_with = recipe if regularization else None
        return self.training(trained_with, penalty, regularization, SOURCE_SEED + source.seed, network)

    def task_identity(self, network: Architecture) -> TrainedTask:
        """Return what the task adds to the identity of a training of this network."""
        self.local_code |= networks.portable(network.reference) is None
        return TrainedTask(
            dataset=self.data.digest,
            network=network.reference,
            network_source=networks.source(network.reference, network.folder),
            network_parameters=network.parameters,
            training=self.task.training,
            colour=self.colour,
        )

    @property
    def size(self) -> str:
        """The size of the task for a title, unless it is full."""
        return "" if self.config.size == "full" else f", {self.config.size}"

    def _images(self) -> RegularizationData:
        return load_regularization_data(self.images_location)

    def _digest_of_images(self) -> str:
        if self.images_digest is None:
            self.images_digest = ImageData(self._images().images).digest
        return self.images_digest


def unable(
    target: type[Recipe], parameters: dict[str, Any], folder: Path | None, data: RegularizationData | None
) -> str | None:
    """Return why a recipe cannot run with these parameters and regularization data, or None."""
    reason = target.unavailable(parameters, folder)
    return reason if reason or data is None else target.lacking(parameters, data)


def checked(
    target: type[Recipe], recipe: RecipeSpec, parameters: dict[str, Any], data: RegularizationData | None
) -> str | None:
    """Check what a recipe is trained with, and return a digest of all but the images; None if there is nothing else.

    Raises:
        UserError: it was refused, or the recipe's own code raised.
    """
    try:
        with foreign_code():
            if data is None:
                return target.check(parameters, recipe.folder, 0)
            return target.content(parameters, recipe.folder, data)
    except UserError as error:
        raise UserError(f"{recipe.path}: {error}") from error
    except ValueError:  # Told as refused parameters.
        raise
    except Exception as error:
        what = f"{type(error).__name__}: {error}"
        raise UserError(f"{recipe.path}: the check of {recipe.regularizer} raised {what}.") from error

"""The jobs of a point: for each tuning seed a training, as ``rbp run`` plans it, and noise on validation images."""

from collections.abc import Sequence
from typing import NamedTuple

from robustbench_pix.attacks.building import build_attack
from robustbench_pix.attacks.libraries.classes import engine_of
from robustbench_pix.catalogue.findings import FindingsError
from robustbench_pix.catalogue.recipe_spec import RecipeSpec
from robustbench_pix.catalogue.registries import attacks
from robustbench_pix.errors import UserError
from robustbench_pix.runs.identities import AttackDefinition, ValidationIdentity
from robustbench_pix.runs.job import AttackContext, TrainingJob, ValidationJob
from robustbench_pix.runs.locations import place
from robustbench_pix.runs.planner import Plan
from robustbench_pix.runs.request import RunConfig
from robustbench_pix.runs.training_planner import TrainingPlanner
from robustbench_pix.tuning.grid import Point

ATTACK = "gaussian"
"""The entry of the catalogue whose noise scores a point."""

BASELINE = "unregularized"

MOST_IMAGES = 2000
"""Validation images of a seed; those of a split alone are 150 at a size with 15,000 training images."""


class PlannedPoint(NamedTuple):
    """A point and the names of its ``validation`` jobs, one a seed, or in words why it cannot be trained."""

    point: Point
    runs: tuple[str, ...]
    reason: str = ""


class TuningPlanner:
    """Plans the points of recipes on one combination; its data has no test images, whatever is done with it.

    Raises:
        UserError: data is missing, or the noise has no strengths for the task or is none.
    """

    def __init__(self, config: RunConfig) -> None:
        self.config, (self.combination,) = config, config.combinations
        task = config.task_at_size(self.combination.task)
        self.entry = config.workspace.attack(ATTACK).at_size(config.size)
        if self.entry.access != "none" or engine_of(self.entry.attack) is not None:
            raise UserError(f'{self.entry.path}: tuning takes this noise; state access = "none" and no library.')
        self.trainings = TrainingPlanner(config, task, self.combination, with_test=False)
        self.noise = self._definition()
        self.scope = self.trainings.scope(self.trainings.own)

    @property
    def sigmas(self) -> Sequence[float]:
        """The sizes of the noise, without 0."""
        return self.noise.strengths[1:]

    def baseline(self, plan: Plan) -> PlannedPoint:
        """Add the jobs of ``unregularized``, with whose clean accuracy points are compared."""
        return self.point(self.config.workspace.recipe(BASELINE), {}, plan)

    def point(self, recipe: RecipeSpec, point: Point, plan: Plan) -> PlannedPoint:
        """Add the jobs of a recipe with these parameters to a plan.

        Raises:
            UserError: the recipe does not take them.
        """
        try:
            penalty = recipe.penalty(self.scope, point)
        except FindingsError as error:
            raise UserError(f"{recipe.name} cannot be trained with {in_words(point)}: {error}.") from error
        regularization, reason = self.trainings.regularization(recipe, penalty)
        if reason:
            return PlannedPoint(point, (), reason)
        own = self.trainings.own
        models = [
            plan.add(self.trainings.training(recipe, penalty, regularization, seed, own)) for seed in self.config.seeds
        ]
        plan.local_code |= self.trainings.local_code or attacks.portable(self.entry.attack) is None
        return PlannedPoint(point, tuple(plan.add(self._validation(recipe, model)).name for model in models))

    def _validation(self, recipe: RecipeSpec, model: TrainingJob) -> ValidationJob:
        identity = ValidationIdentity(model=model.id, task=self.combination.task, images=MOST_IMAGES, attack=self.noise)
        context = AttackContext(
            title=f"validate {recipe.name} on {model.title.rpartition(' on ')[2]}",
            attack=self.entry.name,
            attack_path=place(self.entry.path),
            batch_dependent=False,
            file=None,
            entries=self.trainings.data.train_images[0].numel(),
            data=model.context.data,
            models={model.name: model.context.code},
        )
        return ValidationJob(identity, context, (model.name,))

    def _definition(self) -> AttackDefinition:
        strengths = self.entry.strengths_for(self.combination.task)
        if not strengths:
            raise UserError(
                f"{self.entry.path}: strengths has neither {self.combination.task} nor default; state some."
            )
        build_attack(self.entry)
        return AttackDefinition(
            attack=attacks.portable(self.entry.attack) or self.entry.attack,
            source=attacks.source(self.entry.attack, self.entry.folder),
            engine_version=None,
            access=self.entry.access,
            strength=self.entry.strength,
            strengths=strengths,
            parameters=self.entry.parameters,
            evaluation=self.entry.evaluation.model_copy(update={"images": None}),
        )


def in_words(point: Point) -> str:
    """Return a point as a file would state it.

    >>> in_words({"alpha": 1.0, "threshold": 0.2})
    'alpha = 1.0, threshold = 0.2'
    """
    return ", ".join(f"{name} = {value}" for name, value in point.items()) or "its general parameters"

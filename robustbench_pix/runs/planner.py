"""Plan a run: the rows of each combination, the models of each row, and every attack on them.

Everything that a user can get wrong is found on the way, before anything is trained.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any, TypeVar

from robustbench_pix.attacks.base import Attack, FixedStrengthAttack, MinimalDistanceAttack
from robustbench_pix.attacks.building import build_attack
from robustbench_pix.attacks.libraries.classes import ENGINES, engine_of
from robustbench_pix.catalogue.recipe_spec import RecipeSpec
from robustbench_pix.catalogue.registries import attacks
from robustbench_pix.catalogue.specs import AttackSpec, SourceSpec, SuiteSpec, TaskSpec
from robustbench_pix.errors import UserError
from robustbench_pix.identity import NUMERICS_VERSION, digest
from robustbench_pix.runs.external_model import ExaminedModel, examine
from robustbench_pix.runs.identities import AttackDefinition, AttackIdentity, CheckIdentity, NearestIdentity
from robustbench_pix.runs.job import (
    AttackContext,
    AttackJob,
    CheckJob,
    ExternalContext,
    ExternalJob,
    Job,
    ModelContext,
    ModelJob,
    NearestJob,
)
from robustbench_pix.runs.locations import file_identity, place
from robustbench_pix.runs.plan_store import CHECK, NEAREST, PlannedRow, PlannedRun
from robustbench_pix.runs.request import EXTERNAL_SEED, SOURCE_SEED, Combination, ExternalModel, RunConfig
from robustbench_pix.runs.store import Store
from robustbench_pix.runs.training_planner import TrainingPlanner

RADII_FROM = "pgd-linf"
"""The entry whose middle and largest strengths are the radii of the check."""

NOT_TUNED = "not tuned here"
"""Remark on a row whose parameters no search chose for its combination, size and network."""

AnyJob = TypeVar("AnyJob", bound=Job)


@dataclass
class Plan:
    """The jobs of a run, each once and after those it needs, and its rows."""

    jobs: dict[str, Job] = field(default_factory=dict)
    rows: list[PlannedRow] = field(default_factory=list)
    local_code: bool = False
    """Whether a recipe or attack is defined in the running script, so that no other process can do its jobs."""
    external: dict[str, ExaminedModel] = field(default_factory=dict)
    """External models by the names of their jobs, so that their weights are read once."""

    def add(self, job: AnyJob) -> AnyJob:
        """Add a job unless it is there already; return the one that is there."""
        there = self.jobs.setdefault(job.name, job)
        assert isinstance(there, type(job))
        return there

    def missing(self, store: Store) -> list[Job]:
        """Return the jobs whose runs are not there, or are damaged.

        A training that only serves attacks which are all there is still wanted: its weights are part of the result.
        """
        return [job for job in self.jobs.values() if store.damage(job.name)]


def make_plan(config: RunConfig, device: str) -> Plan:
    """Plan a run of its suite; ``device`` is where an external model is queried with a few images.

    Raises:
        UserError: a name is unknown, data is missing, a file is wrong.
    """
    suite = config.workspace.suite(config.suite or "")
    return plan_attacks(config, suite, [config.workspace.attack(name) for name in suite.attacks], device)


def plan_attacks(config: RunConfig, suite: SuiteSpec, entries: Sequence[AttackSpec], device: str) -> Plan:
    """Plan a run with these entries as its suite, whatever the catalogue says of them.

    Raises:
        UserError: as ``make_plan``.
    """
    plan = Plan()
    recipes = [config.workspace.recipe(name) for name in config.recipes]
    specs = [entry.at_size(config.size) for entry in entries]
    built = [build_attack(spec) for spec in specs]
    for combination in config.combinations:
        task = config.task_at_size(combination.task)
        for spec, attack in zip(specs, built, strict=True):
            if isinstance(attack, FixedStrengthAttack) and not spec.strengths_for(task.name):
                raise UserError(
                    f"{spec.path}: strengths has neither {task.name} nor default; state the strengths to use."
                )
        planner = CombinationPlanner(config, plan, task, combination, suite, specs, built)
        facts = planner.facts()
        plan.rows += [planner.row(recipe, facts) for recipe in recipes]
        if config.external is not None:
            plan.rows.append(planner.external_row(config.external, facts, device))
        plan.local_code |= planner.trainings.local_code
    return plan


class CombinationPlanner:
    """Plans the rows of one combination under a suite; ``specs`` are its entries, ``built`` what they name."""

    def __init__(
        self,
        config: RunConfig,
        plan: Plan,
        task: TaskSpec,
        combination: Combination,
        suite: SuiteSpec,
        specs: list[AttackSpec],
        built: list[Attack],
    ) -> None:
        self.config, self.plan, self.task, self.combination = config, plan, task, combination
        self.suite, self.specs = suite, specs
        self.trainings = TrainingPlanner(config, task, combination)
        self.dependent = {spec.name for spec, attack in zip(specs, built, strict=True) if attack.batch_dependent}
        self.searching = {
            spec.name
            for spec, attack in zip(specs, built, strict=True)
            if isinstance(attack, MinimalDistanceAttack) and (spec.access, spec.strength) == ("decisions", "l2")
        }
        self.files = self._files(built, self.trainings.data.test_labels)
        self.sources = {spec.name: self.trainings.sources(spec) for spec in specs if spec.access == "transfer"}
        self.definitions = {spec.name: self._definition(spec) for spec in specs}
        wanted = suite.check_gradients if config.check_gradients is None else config.check_gradients
        self.radii = _radii(config.workspace.attack(RADII_FROM), task.name) if wanted else None

    def facts(self) -> dict[str, Any]:
        """Return the facts that all rows of this combination share."""
        definitions = [self.definitions[spec.name].model_dump(mode="json") for spec in self.specs]
        task = self.trainings.task_identity(self.trainings.own).model_dump(mode="json")
        return {
            "suite": self.suite.name,
            "suite_version": self.suite.version,
            "protocol": self.suite.protocol,
            "task": self.task.name,
            "regularization_data": self.combination.regularization_data,
            "size": self.config.size,
            "colour": self.trainings.colour,
            "network": self.task.network,
            "precision": self.config.precision,
            "attacks": ",".join(spec.name for spec in self.specs),
            "seed_list": ",".join(map(str, self.config.seeds)),
            "task_hash": digest([NUMERICS_VERSION, task]),
            "suite_hash": digest([self.suite.name, self.suite.version, self.suite.protocol, definitions]),
        }

    def row(self, recipe: RecipeSpec, facts: dict[str, Any]) -> PlannedRow:
        """Return a recipe's row with its runs planned, or the reason why it cannot run."""
        facts = {**facts, "recipe": recipe.name, "controls": recipe.controls or ""}
        scope = self.trainings.scope(self.trainings.own)
        penalty = recipe.penalty(scope)
        regularization, reason = self.trainings.regularization(recipe, penalty)
        if reason:
            return PlannedRow({**facts, "status": "not run", "note": reason, "recipe_hash": ""})
        added = regularization.model_dump(mode="json") if regularization else None
        facts |= {"status": "", "note": "", "recipe_hash": digest(added)}
        own = [spec.name for spec in self.specs if spec.attack in self.trainings.trained_on(recipe)]
        remarks = [f"{attack}: trained on this attack" for attack in own]
        if remarks := [*remarks, *([NOT_TUNED] if recipe.is_untuned(scope) else [])]:
            facts["remark"] = "; ".join(remarks)
        runs: list[PlannedRun] = []
        for seed in self.config.seeds:
            model = self.plan.add(self.trainings.training(recipe, penalty, regularization, seed, self.trainings.own))
            runs += self._runs(recipe.name, model, seed)
        return PlannedRow(facts, tuple(runs))

    def external_row(self, model: ExternalModel, facts: dict[str, Any], device: str) -> PlannedRow:
        """Return the row of an external model with its runs planned."""
        examined = examine(model, self.trainings.data, device)
        context = ExternalContext(
            title=f"keep {model.name} on {self.task.name}{self.trainings.size}",
            reference=model.reference,
            folder=place(model.folder),
            weights=model.weights.name if model.weights else None,
            data=self.trainings.data_location,
        )
        job = self.plan.add(ExternalJob(examined.identity, context))
        self.plan.external[job.name] = examined
        self.plan.local_code |= model.reference.startswith("__main__:")
        facts = {**facts, "recipe": model.name, "controls": "", "status": "", "note": "", "remark": examined.remark}
        runs = self._runs(model.name, job, EXTERNAL_SEED)
        return PlannedRow({**facts, "recipe_hash": job.id}, tuple(runs))

    def _runs(self, recipe: str, model: ModelJob, seed: int) -> list[PlannedRun]:
        """Plan every attack on a model, the check of its gradients where one is wanted, and what decision attacks miss.

        That is the smallest known distances, beside which the distances of decision attacks stand.
        """
        attacking = {spec.name: self._attack(recipe, spec, model) for spec in self.specs}
        searching = [job for name, job in attacking.items() if name in self.searching]
        jobs: dict[str, Job] = {**attacking}
        jobs |= {CHECK: self._check(recipe, model, self.radii)} if self.radii else {}
        jobs |= {NEAREST: self._nearest(recipe, searching[0], model)} if searching else {}
        return [PlannedRun(seed, what, model.name, self.plan.add(job).name) for what, job in jobs.items()]

    def _attack(self, recipe: str, spec: AttackSpec, model: ModelJob) -> AttackJob:
        sources = [self.plan.add(source) for source in self.sources.get(spec.name, ())]
        identity = AttackIdentity(
            model=model.id,
            source=sources[0].id if sources else None,
            task=self.task.name,
            test_images=self.task.training.test_images,
            protocol=self.suite.protocol,
            attack=self.definitions[spec.name],
        )
        context = AttackContext(
            title=self._title(spec.name, recipe, model),
            attack=spec.name,
            attack_path=place(spec.path),
            batch_dependent=spec.name in self.dependent and spec.evaluation.batch_size > 1,
            file=place(self.files[spec.name]) if spec.name in self.files else None,
            entries=self.trainings.data.train_images[0].numel(),
            data=model.context.data,
            models={job.name: job.context.code for job in (model, *sources)},
        )
        return AttackJob(identity, context, (model.name, *(source.name for source in sources)))

    def _nearest(self, recipe: str, searching: AttackJob, model: ModelJob) -> NearestJob:
        title, code = self._title(NEAREST, recipe, model), {model.name: model.context.code}
        context = ModelContext(title=title, data=model.context.data, models=code)
        return NearestJob(NearestIdentity.of(searching.identity), context, (model.name,))

    def _check(self, recipe: str, model: ModelJob, radii: tuple[float, float]) -> CheckJob:
        source = self.plan.add(self.trainings.training(None, None, None, SOURCE_SEED, self.trainings.own))
        identity = CheckIdentity(
            model=model.id,
            source=source.id,
            task=self.task.name,
            test_images=self.task.training.test_images,
            radii=radii,
        )
        title = self._title(CHECK, recipe, model)
        code = {job.name: job.context.code for job in (model, source)}
        context = ModelContext(title=title, data=model.context.data, models=code)
        return CheckJob(identity, context, (model.name, source.name))

    def _title(self, what: str, recipe: str, model: ModelJob) -> str:
        return f"{what} on {recipe}, {model.title.rpartition(' on ')[2]}"

    def _definition(self, spec: AttackSpec) -> AttackDefinition:
        engine = engine_of(spec.attack)
        reference = spec.attack if engine else attacks.portable(spec.attack)
        self.plan.local_code |= reference is None
        stated = spec.sources not in ((), (SourceSpec(),))
        return AttackDefinition(
            attack=reference or spec.attack,
            source=None if engine else attacks.source(spec.attack, spec.folder),
            engine_version=version(ENGINES[engine]) if engine else None,
            access=spec.access,
            strength=spec.strength,
            strengths=spec.strengths_for(self.task.name),
            parameters=spec.parameters,
            evaluation=spec.evaluation,
            range_from=spec.range_from(self.task.name) or None,
            sources=tuple(job.id for job in self.sources[spec.name]) if stated else None,
            file=file_identity(self.files[spec.name]) if spec.name in self.files else None,
        )

    def _files(self, built: list[Attack], test_labels: Any) -> dict[str, Path]:
        """Return the files from which attacks read their images instead of making them, by the attacks' names."""
        of, root = self.task.dataset, self.config.data_folder
        pairs = zip(self.specs, built, strict=True)
        fixed = [(spec.name, attack) for spec, attack in pairs if isinstance(attack, FixedStrengthAttack)]
        found = {name: attack.find_file(of, test_labels, root) for name, attack in fixed}
        return {name: path for name, path in found.items() if path}


def _radii(entry: AttackSpec, task: str) -> tuple[float, float]:
    strengths = entry.strengths_for(task)
    if not strengths:
        raise UserError(
            f"{entry.path}: no strengths for task {task}; the gradient check needs them (add {task} or default)."
        )
    return strengths[len(strengths) // 2], strengths[-1]

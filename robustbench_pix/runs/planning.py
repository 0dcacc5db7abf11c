"""From a request to jobs with content addresses, and to the rows of the board that they fill."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any

from torch import nn

from robustbench_pix.attacks.base import Attack, FixedStrengthAttack
from robustbench_pix.attacks.building import build_attack
from robustbench_pix.attacks.engines import ENGINES, engine_of
from robustbench_pix.catalogue.registries import attacks, datasets, networks, regularizers
from robustbench_pix.catalogue.specs import AttackSpec, RecipeSpec, SourceSpec, SuiteSpec, TaskSpec
from robustbench_pix.data.base import ImageData, load_dataset
from robustbench_pix.errors import UserError
from robustbench_pix.identity import NUMERICS_VERSION, RECORD_VERSION, digest
from robustbench_pix.regularizers.base import Regularizer
from robustbench_pix.runs import architecture
from robustbench_pix.runs.architecture import Architecture
from robustbench_pix.runs.given_model import find
from robustbench_pix.runs.jobs import (
    Job,
    data_context,
    file_identity,
    images_context,
    load_regularization_images,
    place,
)
from robustbench_pix.runs.request import GIVEN_SEED, SOURCE_SEED, Combination, GivenModel, Request


@dataclass(frozen=True)
class Cell:
    """One model under one attack: where its outcome lies once it is there."""

    seed: int
    attack: str
    model: str
    run: str


@dataclass(frozen=True)
class Row:
    """One recipe on one combination: the facts of its row on the board, and its cells."""

    facts: dict[str, Any]
    cells: tuple[Cell, ...] = ()


@dataclass
class Plan:
    """The jobs of a request, each once and after those it needs, and its rows."""

    jobs: dict[str, Job] = field(default_factory=dict)
    rows: list[Row] = field(default_factory=list)
    local_code: bool = False
    """Whether a recipe or attack is defined in the running script, so that no other process can do its jobs."""
    given: dict[str, nn.Module] = field(default_factory=dict)
    """Given models by the names of their jobs, on the CPU, so that their weights are read once."""

    def add(self, job: Job) -> Job:
        """Add a job unless it is there already."""
        return self.jobs.setdefault(job.name, job)


def make_plan(request: Request, device: str) -> Plan:
    """Plan a request; everything that a user can get wrong is found here, before anything is trained.

    ``device`` is where a given model is asked a few questions.

    Raises:
        UserError: a name is unknown, data is missing, a file is wrong.
    """
    suite = request.workspace.suite(request.suite)
    return plan_attacks(request, suite, [request.workspace.attack(name) for name in suite.attacks], device)


def plan_attacks(request: Request, suite: SuiteSpec, entries: Sequence[AttackSpec], device: str) -> Plan:
    """Plan a request with these entries as its suite, whatever the catalogue says of them.

    Raises:
        UserError: as ``make_plan``.
    """
    plan = Plan()
    recipes = [request.workspace.recipe(name) for name in request.recipes]
    specs = [entry.at_size(request.size) for entry in entries]
    built = [build_attack(spec) for spec in specs]
    for combination in request.combinations:
        task = request.task_at_size(combination.task)
        for spec, attack in zip(specs, built, strict=True):
            if isinstance(attack, FixedStrengthAttack) and not spec.strengths_for(task.name):
                raise UserError(
                    f"{spec.path}: strengths has neither {task.name} nor default; state the strengths to use."
                )
        dependent = {spec.name for spec, attack in zip(specs, built, strict=True) if attack.batch_dependent}
        planner = _Planner(request, plan, task, combination, suite.protocol, specs, built, dependent)
        facts = planner.facts(suite.name, suite.version)
        plan.rows += [planner.row(recipe, facts) for recipe in recipes]
        if request.given is not None:
            plan.rows.append(planner.given_row(request.given, facts, device))
    return plan


class _Planner:
    """Plans one combination."""

    def __init__(
        self,
        request: Request,
        plan: Plan,
        task: TaskSpec,
        combination: Combination,
        protocol: str,
        specs: list[AttackSpec],
        built: list[Attack],
        batch_dependent: set[str],
    ) -> None:
        self.request, self.plan, self.task, self.combination = request, plan, task, combination
        self.protocol, self.specs, self.batch_dependent = protocol, specs, batch_dependent
        self.colour = request.colour or task.colour
        self.data = load_dataset(task.dataset, task.folder, root=request.data_root, colour=self.colour)
        if self.data.train_labels is None or self.data.test_images is None:
            raise UserError(f"The data set {task.dataset!r} of the task {task.name} has no labels or no test images.")
        self.own = architecture.of_task(task)
        plan.local_code |= datasets.portable(task.dataset) is None
        self.images_context = {
            **images_context(combination.images, request.workspace, request.data_root, self.colour),
            "count": task.training.regularization_images,
        }
        self.files = self._files(built, self.data.test_labels)
        self.images_digest: str | None = None
        self.sources = {spec.name: self._sources(spec) for spec in specs if spec.access == "transfer"}

    def facts(self, suite: str, suite_version: int) -> dict[str, Any]:
        """Return the facts that all rows of this combination share."""
        identities = [self._attack_identity(spec) for spec in self.specs]
        suite_hash = digest([suite, suite_version, self.protocol, identities])
        return {
            "suite": suite,
            "suite_version": suite_version,
            "protocol": self.protocol,
            "task": self.task.name,
            "images": self.combination.images,
            "size": self.request.size,
            "colour": self.colour,
            "network": self.task.network,
            "precision": self.request.precision,
            "attacks": ",".join(spec.name for spec in self.specs),
            "seed_list": ",".join(map(str, self.request.seeds)),
            "task_hash": digest([NUMERICS_VERSION, self._task_identity(self.own)]),
            "suite_hash": suite_hash,
        }

    def row(self, recipe: RecipeSpec, facts: dict[str, Any]) -> Row:
        """Return a recipe's row with its cells planned, or the reason why it cannot run."""
        facts = {**facts, "recipe": recipe.name, "controls": recipe.controls or ""}
        parameters = recipe.resolved_parameters(self.task.name, self.combination.images)
        regularization, reason = self._regularization(recipe, parameters)
        if reason:
            return Row({**facts, "status": "not run", "note": reason, "recipe_hash": ""})
        facts |= {"status": "", "note": "", "recipe_hash": digest(regularization)}
        cells: list[Cell] = []
        for seed in self.request.seeds:
            model = self.plan.add(self._training(recipe, parameters, regularization, seed, self.own))
            cells += self._cells(recipe.name, model, seed)
        return Row(facts, tuple(cells))

    def given_row(self, given: GivenModel, facts: dict[str, Any], device: str) -> Row:
        """Return the row of somebody else's model with its cells planned."""
        found = find(given, self.data, device)
        identity = {"numerics": NUMERICS_VERSION, "kind": "given", **found.identity, "dataset": self.data.digest}
        context = {
            "title": f"keep {given.name} on {self.task.name}{self._size()}",
            "reference": given.reference,
            "folder": place(given.folder),
            "data": self._data_context(),
        }
        model = self.plan.add(Job("given", identity, context))
        self.plan.given[model.name] = found.network
        self.plan.local_code |= given.reference.startswith("__main__:")
        facts = {**facts, "recipe": given.name, "controls": "", "status": "", "note": "", "remark": found.remark}
        return Row({**facts, "recipe_hash": model.id}, tuple(self._cells(given.name, model, GIVEN_SEED)))

    def _cells(self, recipe: str, model: Job, seed: int) -> list[Cell]:
        """Plan every attack on a model."""
        attacks = [(spec.name, self.plan.add(self._attack(recipe, spec, model, seed))) for spec in self.specs]
        return [Cell(seed, attack, model.name, job.name) for attack, job in attacks]

    def _regularization(
        self, recipe: RecipeSpec, parameters: dict[str, Any]
    ) -> tuple[dict[str, Any] | None, str | None]:
        """Return what a recipe adds to training, None for nothing, or the reason why it cannot run."""
        if recipe.regularizer is None or parameters["alpha"] == 0:
            return None, None
        target = regularizers.load(recipe.regularizer, recipe.folder)
        reference = regularizers.portable(recipe.regularizer)
        self.plan.local_code |= reference is None
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

    def _sources(self, spec: AttackSpec) -> list[Job]:
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
        regularization, reason = self._regularization(recipe, parameters)
        if reason:
            raise UserError(f"The recipe {recipe.name} cannot run: it {reason}.")
        network = architecture.of_source(source, self.task, folder)
        trained_with = recipe if regularization else None
        return self._training(trained_with, parameters, regularization, SOURCE_SEED + source.seed, network)

    def _task_identity(self, network: Architecture) -> dict[str, Any]:
        self.plan.local_code |= networks.portable(network.reference) is None
        return {
            "dataset": self.data.digest,
            **network.identity,
            "training": self.task.training.model_dump(exclude={"test_images", "regularization_images"}),
            "colour": self.colour,
        }

    def _training(
        self,
        recipe: RecipeSpec | None,
        parameters: dict[str, Any],
        regularization: dict[str, Any] | None,
        seed: int,
        network: Architecture,
    ) -> Job:
        identity = {
            "numerics": NUMERICS_VERSION,
            "kind": "train",
            "task": self._task_identity(network),
            "seed": seed,
            "precision": self.request.precision,
            "regularization": regularization,
        }
        name = recipe.name if recipe else "source model"
        other = "" if network.reference == self.own.reference else f" ({network.reference})"
        on = str(self.combination) if regularization else self.task.name
        context = {
            "title": f"train {name}{other} on {on}{self._size()}, seed {seed}",
            "task": self.task.name,
            "task_folder": place(network.folder),
            "recipe": name,
            "recipe_folder": place(recipe.folder) if recipe else None,
            "parameters": parameters,
            "channels": self.data.train_images.shape[1],
            "classes": self.data.classes,
            "data": self._data_context(),
            "images_data": self.images_context,
        }
        return Job("train", identity, context)

    def _attack(self, recipe: str, spec: AttackSpec, model: Job, seed: int) -> Job:
        needs = [model, *map(self.plan.add, self.sources.get(spec.name, ()))]
        identity = {
            "numerics": NUMERICS_VERSION,
            "record": RECORD_VERSION,
            "kind": "attack",
            "model": model.id,
            "source": needs[1].id if len(needs) > 1 else None,
            "task": self.task.name,
            "test_images": self.task.training.test_images,
            "protocol": self.protocol,
            "attack": self._attack_identity(spec),
        }
        context = {
            "title": f"{spec.name} on {recipe}, {model.context['title'].rpartition(' on ')[2]}",
            "attack": spec.name,
            "attack_path": place(spec.path),
            "batch_dependent": spec.name in self.batch_dependent and spec.evaluation.batch_size > 1,
            "file": place(self.files.get(spec.name)),
            "entries": self.data.train_images[0].numel(),
            "data": model.context["data"],
        }
        return Job("attack", identity, context, tuple(job.name for job in needs))

    def _attack_identity(self, spec: AttackSpec) -> dict[str, Any]:
        engine = engine_of(spec.attack)
        reference = spec.attack if engine else attacks.portable(spec.attack)
        self.plan.local_code |= reference is None
        stated = spec.sources not in ((), (SourceSpec(),))
        return {
            "attack": reference or spec.attack,
            "source": None if engine else attacks.source(spec.attack, spec.folder),
            "engine_version": version(ENGINES[engine]) if engine else None,
            "access": spec.access,
            "strength": spec.strength,
            "strengths": list(spec.strengths_for(self.task.name)),
            "parameters": spec.parameters,
            "evaluation": spec.evaluation.model_dump(),
            **({"sources": [job.id for job in self.sources[spec.name]]} if stated else {}),
            **({"file": file_identity(self.files[spec.name])} if spec.name in self.files else {}),
        }

    def _files(self, built: list[Attack], test_labels: Any) -> dict[str, Path]:
        """Return the files from which attacks read their images instead of making them, by the attacks' names."""
        of, root = self.task.dataset, self.request.data_root
        pairs = zip(self.specs, built, strict=True)
        fixed = [(spec.name, attack) for spec, attack in pairs if isinstance(attack, FixedStrengthAttack)]
        found = {name: attack.find_file(of, test_labels, root) for name, attack in fixed}
        return {name: path for name, path in found.items() if path}

    def _size(self) -> str:
        return "" if self.request.size == "full" else f", {self.request.size}"

    def _data_context(self) -> dict[str, Any]:
        return data_context(self.task.dataset, self.task.folder, self.request.data_root, self.colour)

    def _images(self) -> Any:
        return load_regularization_images(self.images_context)

    def _digest_of_images(self) -> str:
        if self.images_digest is None:
            self.images_digest = ImageData(self._images()).digest
        return self.images_digest

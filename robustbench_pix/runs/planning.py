"""From a request to jobs with content addresses, and to the rows of the board that they fill."""

from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any

from robustbench_pix.attacks.base import Attack, FixedStrengthAttack
from robustbench_pix.attacks.building import build_attack
from robustbench_pix.attacks.engines import ENGINES, engine_of
from robustbench_pix.catalogue.registries import attacks, datasets, networks, regularizers
from robustbench_pix.catalogue.specs import AttackSpec, RecipeSpec, TaskSpec
from robustbench_pix.data.base import ImageData, load_dataset
from robustbench_pix.errors import UserError, unknown
from robustbench_pix.identity import NUMERICS_VERSION, digest
from robustbench_pix.regularizers.base import Regularizer
from robustbench_pix.runs.jobs import Job, data_context, file_identity, load_regularization_images, place
from robustbench_pix.runs.request import SOURCE_SEED, Combination, Request


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

    def add(self, job: Job) -> Job:
        """Add a job unless it is there already."""
        return self.jobs.setdefault(job.name, job)


def make_plan(request: Request) -> Plan:
    """Plan a request; everything that a user can get wrong is found here, before anything is trained.

    Raises:
        UserError: a name is unknown, data is missing, a file is wrong.
    """
    plan = Plan()
    suite = request.workspace.suite(request.suite)
    recipes = [request.workspace.recipe(name) for name in request.recipes]
    specs = [request.workspace.attack(name).at_size(request.size) for name in suite.attacks]
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
        self.task_identity = {
            "dataset": self.data.digest,
            "network": task.network,
            "network_source": networks.source(task.network, task.folder),
            "network_parameters": task.network_parameters,
            "training": task.training.model_dump(exclude={"test_images", "regularization_images"}),
            "colour": self.colour,
        }
        plan.local_code |= None in (networks.portable(task.network), datasets.portable(task.dataset))
        self.files = self._files(built, self.data.test_labels)
        self.images_context = self._images_context()
        self.images_digest: str | None = None

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
            "task_hash": digest([NUMERICS_VERSION, self.task_identity]),
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
        cells = []
        for seed in self.request.seeds:
            model = self.plan.add(self._training(recipe, parameters, regularization, seed))
            for spec in self.specs:
                attack = self.plan.add(self._attack(recipe.name, spec, model, seed))
                cells.append(Cell(seed, spec.name, model.name, attack.name))
        return Row(facts, tuple(cells))

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

    def _training(self, recipe: RecipeSpec | None, parameters: dict[str, Any], regularization: Any, seed: int) -> Job:
        identity = {
            "numerics": NUMERICS_VERSION,
            "kind": "train",
            "task": self.task_identity,
            "seed": seed,
            "precision": self.request.precision,
            "regularization": regularization,
        }
        name = recipe.name if recipe else "source model"
        on = str(self.combination) if regularization else self.task.name
        size = "" if self.request.size == "full" else f", {self.request.size}"
        context = {
            "title": f"train {name} on {on}{size}, seed {seed}",
            "task": self.task.name,
            "task_folder": place(self.task.folder),
            "recipe": name,
            "recipe_folder": place(recipe.folder) if recipe else None,
            "parameters": parameters,
            "channels": self.data.train_images.shape[1],
            "classes": self.data.classes,
            "data": data_context(self.task.dataset, self.task.folder, self.request.data_root, self.colour),
            "images_data": self.images_context,
        }
        return Job("train", identity, context)

    def _attack(self, recipe: str, spec: AttackSpec, model: Job, seed: int) -> Job:
        needs = [model]
        if spec.access == "transfer":
            needs.append(self.plan.add(self._training(None, {}, None, SOURCE_SEED)))
        identity = {
            "numerics": NUMERICS_VERSION,
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
        return {
            "attack": reference or spec.attack,
            "source": None if engine else attacks.source(spec.attack, spec.folder),
            "engine_version": version(ENGINES[engine]) if engine else None,
            "access": spec.access,
            "strength": spec.strength,
            "strengths": list(spec.strengths_for(self.task.name)),
            "parameters": spec.parameters,
            "evaluation": spec.evaluation.model_dump(),
            **({"file": file_identity(self.files[spec.name])} if spec.name in self.files else {}),
        }

    def _files(self, built: list[Attack], test_labels: Any) -> dict[str, Path]:
        """Return the files from which attacks read their images instead of making them, by the attacks' names."""
        of, root = self.task.dataset, self.request.data_root
        pairs = zip(self.specs, built, strict=True)
        fixed = [(spec.name, attack) for spec, attack in pairs if isinstance(attack, FixedStrengthAttack)]
        found = {name: attack.find_file(of, test_labels, root) for name, attack in fixed}
        return {name: path for name, path in found.items() if path}

    def _images_context(self) -> dict[str, Any]:
        """Return where the regularization images are: those of a task of that name, or of a registered data set."""
        name, count = self.combination.images, self.task.training.regularization_images
        root = self.request.data_root
        if name in self.request.workspace.names("models/tasks"):
            of = self.request.workspace.task(name)
            return {**data_context(of.dataset, of.folder, root, self.colour), "count": count}
        if name in datasets.names():
            return {**data_context(name, None, root, self.colour), "count": count}
        known = {*self.request.workspace.names("models/tasks"), *datasets.names()}
        raise unknown("set of images", name, known)

    def _images(self) -> Any:
        return load_regularization_images(self.images_context)

    def _digest_of_images(self) -> str:
        if self.images_digest is None:
            self.images_digest = ImageData(self._images()).digest
        return self.images_digest

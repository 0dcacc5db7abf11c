"""Plans one combination: its rows, the models of each, and every attack on them."""

from importlib.metadata import version
from pathlib import Path
from typing import Any

from robustbench_pix.attacks.base import Attack, FixedStrengthAttack
from robustbench_pix.attacks.engines import ENGINES, engine_of
from robustbench_pix.catalogue.registries import attacks
from robustbench_pix.catalogue.specs import AttackSpec, RecipeSpec, SourceSpec, SuiteSpec, TaskSpec
from robustbench_pix.errors import UserError
from robustbench_pix.identity import NUMERICS_VERSION, RECORD_VERSION, digest
from robustbench_pix.runs.given_model import find
from robustbench_pix.runs.jobs import Job, file_identity, place
from robustbench_pix.runs.plan import Cell, Plan, Row
from robustbench_pix.runs.plans import CHECK
from robustbench_pix.runs.request import GIVEN_SEED, SOURCE_SEED, Combination, GivenModel, Request
from robustbench_pix.runs.trainings import Trainings

CHECK_VERSION = 1
"""Raised when the check of gradients gathers other evidence."""

RADIUS_FROM = "pgd-linf"
"""The entry whose middle strength is the radius of the check."""


class CombinationPlanner:
    """Plans the rows of one combination under a suite; ``specs`` are its entries, ``built`` what they name."""

    def __init__(
        self,
        request: Request,
        plan: Plan,
        task: TaskSpec,
        combination: Combination,
        suite: SuiteSpec,
        specs: list[AttackSpec],
        built: list[Attack],
    ) -> None:
        self.request, self.plan, self.task, self.combination = request, plan, task, combination
        self.suite, self.specs = suite, specs
        self.trainings = Trainings(request, task, combination)
        self.dependent = {spec.name for spec, attack in zip(specs, built, strict=True) if attack.batch_dependent}
        self.files = self._files(built, self.trainings.data.test_labels)
        self.sources = {spec.name: self.trainings.sources(spec) for spec in specs if spec.access == "transfer"}
        wanted = suite.check_gradients if request.check_gradients is None else request.check_gradients
        self.radius = _radius(request.workspace.attack(RADIUS_FROM), task.name) if wanted else None

    def facts(self) -> dict[str, Any]:
        """Return the facts that all rows of this combination share."""
        identities = [self._attack_identity(spec) for spec in self.specs]
        suite_hash = digest([self.suite.name, self.suite.version, self.suite.protocol, identities])
        return {
            "suite": self.suite.name,
            "suite_version": self.suite.version,
            "protocol": self.suite.protocol,
            "task": self.task.name,
            "images": self.combination.images,
            "size": self.request.size,
            "colour": self.trainings.colour,
            "network": self.task.network,
            "precision": self.request.precision,
            "attacks": ",".join(spec.name for spec in self.specs),
            "seed_list": ",".join(map(str, self.request.seeds)),
            "task_hash": digest([NUMERICS_VERSION, self.trainings.task_identity(self.trainings.own)]),
            "suite_hash": suite_hash,
        }

    def row(self, recipe: RecipeSpec, facts: dict[str, Any]) -> Row:
        """Return a recipe's row with its cells planned, or the reason why it cannot run."""
        facts = {**facts, "recipe": recipe.name, "controls": recipe.controls or ""}
        parameters = recipe.resolved_parameters(self.task.name, self.combination.images)
        regularization, reason = self.trainings.regularization(recipe, parameters)
        if reason:
            return Row({**facts, "status": "not run", "note": reason, "recipe_hash": ""})
        facts |= {"status": "", "note": "", "recipe_hash": digest(regularization)}
        cells: list[Cell] = []
        for seed in self.request.seeds:
            model = self.plan.add(self.trainings.training(recipe, parameters, regularization, seed, self.trainings.own))
            cells += self._cells(recipe.name, model)
        return Row(facts, tuple(cells))

    def given_row(self, given: GivenModel, facts: dict[str, Any], device: str) -> Row:
        """Return the row of somebody else's model with its cells planned."""
        found = find(given, self.trainings.data, device)
        identity = {
            "numerics": NUMERICS_VERSION,
            "kind": "given",
            **found.identity,
            "dataset": self.trainings.data.digest,
        }
        context = {
            "title": f"keep {given.name} on {self.task.name}{self.trainings.size}",
            "reference": given.reference,
            "folder": place(given.folder),
            "weights": given.weights.name if given.weights else None,
            "data": self.trainings.data_context,
        }
        model = self.plan.add(Job("given", identity, context))
        self.plan.given[model.name] = found.network
        self.plan.local_code |= given.reference.startswith("__main__:")
        facts = {**facts, "recipe": given.name, "controls": "", "status": "", "note": "", "remark": found.remark}
        return Row({**facts, "recipe_hash": model.id}, tuple(self._cells(given.name, model)))

    def _cells(self, recipe: str, model: Job) -> list[Cell]:
        """Plan every attack on a model, and the check of its gradients where one is wanted."""
        jobs = [(spec.name, self._attack(recipe, spec, model)) for spec in self.specs]
        jobs += [(CHECK, self._check(recipe, model))] if self.radius else []
        seed = model.identity.get("seed", GIVEN_SEED)
        return [Cell(seed, what, model.name, self.plan.add(job).name) for what, job in jobs]

    def _attack(self, recipe: str, spec: AttackSpec, model: Job) -> Job:
        needs = [model, *map(self.plan.add, self.sources.get(spec.name, ()))]
        identity = {
            "numerics": NUMERICS_VERSION,
            "record": RECORD_VERSION,
            "kind": "attack",
            "model": model.id,
            "source": needs[1].id if len(needs) > 1 else None,
            "task": self.task.name,
            "test_images": self.task.training.test_images,
            "protocol": self.suite.protocol,
            "attack": self._attack_identity(spec),
        }
        context = {
            "title": f"{spec.name} on {recipe}, {model.context['title'].rpartition(' on ')[2]}",
            "attack": spec.name,
            "attack_path": place(spec.path),
            "batch_dependent": spec.name in self.dependent and spec.evaluation.batch_size > 1,
            "file": place(self.files.get(spec.name)),
            "entries": self.trainings.data.train_images[0].numel(),
            "data": model.context["data"],
        }
        return Job("attack", identity, context, tuple(job.name for job in needs))

    def _check(self, recipe: str, model: Job) -> Job:
        source = self.plan.add(self.trainings.training(None, {}, None, SOURCE_SEED, self.trainings.own))
        identity = {
            "numerics": NUMERICS_VERSION,
            "check": CHECK_VERSION,
            "kind": "check",
            "model": model.id,
            "source": source.id,
            "task": self.task.name,
            "test_images": self.task.training.test_images,
            "radius": self.radius,
        }
        title = f"{CHECK} on {recipe}, {model.context['title'].rpartition(' on ')[2]}"
        return Job("check", identity, {"title": title, "data": model.context["data"]}, (model.name, source.name))

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


def _radius(entry: AttackSpec, task: str) -> float:
    strengths = entry.strengths_for(task)
    if not strengths:
        raise UserError(f"{entry.path}: strengths has neither {task} nor default; gradients are checked there.")
    return strengths[len(strengths) // 2]

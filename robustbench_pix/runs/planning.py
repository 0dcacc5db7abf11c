"""From a request to a plan; everything that a user can get wrong is found on the way."""

from collections.abc import Sequence

from robustbench_pix.attacks.base import FixedStrengthAttack
from robustbench_pix.attacks.building import build_attack
from robustbench_pix.catalogue.specs import AttackSpec, SuiteSpec
from robustbench_pix.errors import UserError
from robustbench_pix.runs.combination import CombinationPlanner
from robustbench_pix.runs.plan import Plan
from robustbench_pix.runs.request import Request


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
        planner = CombinationPlanner(request, plan, task, combination, suite, specs, built)
        facts = planner.facts()
        plan.rows += [planner.row(recipe, facts) for recipe in recipes]
        if request.given is not None:
            plan.rows.append(planner.given_row(request.given, facts, device))
        plan.local_code |= planner.trainings.local_code
    return plan

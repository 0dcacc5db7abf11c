"""Search recipes: plan their points, do the jobs that are missing, and choose one point of each by the rule."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from robustbench_pix.catalogue.findings import FindingsError
from robustbench_pix.catalogue.recipe_spec import RecipeSpec, check_search
from robustbench_pix.errors import UserError
from robustbench_pix.foreign import watched_keyboard
from robustbench_pix.runs.planner import Plan
from robustbench_pix.runs.progress import Watcher
from robustbench_pix.runs.request import Resources, RunConfig
from robustbench_pix.runs.runner import begin, complete
from robustbench_pix.runs.store import EXAMPLES, Store
from robustbench_pix.tuning.grid import BUDGET, Search, grid_points
from robustbench_pix.tuning.planner import PlannedPoint, TuningPlanner, in_words
from robustbench_pix.tuning.rule import KEEPS, Accuracy, Outcome, choose, is_kept, ranked, read_accuracy
from robustbench_pix.tuning.suggestions import Suggestions


@dataclass(frozen=True)
class SearchConfig:
    """How recipes are searched, the same for each.

    Attributes:
        grid: takes the place of what the recipes' files state, where it is not empty.
        points: of a grid at most.
        trials: points that optuna suggests in place of the grid, None for the grid.
        keep: the share of the clean accuracy of ``unregularized`` to keep.
    """

    grid: Mapping[str, list[Any]] = field(default_factory=dict)
    points: int = BUDGET
    trials: int | None = None
    keep: str = KEEPS[0]


@dataclass(frozen=True)
class Found:
    """The outcomes of a recipe's search, ranked, and what they were compared with.

    ``sigmas`` are the sizes of the noise; ``chosen`` is None where no point keeps the clean accuracy.
    """

    recipe: RecipeSpec
    search: Search
    config: SearchConfig
    outcomes: list[Outcome]
    baseline: Accuracy
    sigmas: tuple[float, ...]

    @property
    def chosen(self) -> Outcome | None:
        """What the rule chooses."""
        return choose(self.outcomes, self.baseline, self.config.keep)

    @property
    def kept(self) -> list[Outcome]:
        """The outcomes that keep the clean accuracy."""
        return [outcome for outcome in self.outcomes if is_kept(outcome, self.baseline, self.config.keep)]


@watched_keyboard()
def tune(config: RunConfig, how: SearchConfig, resources: Resources, watcher: Watcher) -> list[Found]:
    """Search the recipes of a configuration, whose seeds are tuning seeds; finished jobs are kept.

    Raises:
        UserError: the configuration or the data is wrong, a recipe has nothing to search or cannot run, a job failed,
            or nothing more can be written.
    """
    searches = searches_of(config, how)
    begin(resources)
    runs, plan = _Runs(config, resources, watcher), Plan()
    baseline = runs.planner.baseline(plan)
    gridded = searches if how.trials is None else {}
    planned = {name: _grid(runs.planner, name, search, how, plan) for name, search in gridded.items()}
    runs.do(plan)
    reference = runs.accuracy(baseline)
    found = {name: [runs.outcome(point) for point in points] for name, points in planned.items()}
    if how.trials is not None:
        found = {name: list(_suggested(runs, name, search, how, reference)) for name, search in searches.items()}
    sigmas = tuple(runs.planner.sigmas)
    recipes = {name: config.workspace.recipe(name) for name in searches}
    return [
        Found(recipes[name], searches[name], how, ranked(outcomes), reference, sigmas)
        for name, outcomes in found.items()
    ]


def planned_jobs(config: RunConfig, how: SearchConfig) -> Plan:
    """Return the plan of a search; for points that optuna would suggest later others of its stand in.

    Raises:
        UserError: as ``tune``, as far as it is known without a training.
    """
    plan, planner = Plan(), TuningPlanner(config)
    planner.baseline(plan)
    for name, search in searches_of(config, how).items():
        if how.trials is None:
            _grid(planner, name, search, how, plan)
        else:
            suggestions = Suggestions(search)
            for _ in range(how.trials):
                planner.point(config.workspace.recipe(name), suggestions.ask(), plan)
    return plan


def searches_of(config: RunConfig, how: SearchConfig) -> dict[str, Search]:
    """Return what is searched of each recipe.

    Raises:
        UserError: a recipe states no search, or does not take the parameters of the grid.
    """
    found: dict[str, Search] = {}
    for name in config.recipes:
        recipe = config.workspace.recipe(name)
        search = how.grid or recipe.search
        if recipe.regularizer is None or not search:
            raise UserError(
                f"The recipe {name} states no [search], so there is nothing to tune; leave it out, or give --grid "
                "PARAMETER=VALUES."
            )
        try:
            check_search(search, recipe.regularizer, recipe.parameters)
        except FindingsError as error:
            raise UserError(f"--grid on {name}: {error}.") from error
        found[name] = search
    return found


class _Runs:
    """Does jobs of points, and reads what they found."""

    def __init__(self, config: RunConfig, resources: Resources, watcher: Watcher) -> None:
        self.planner, self.store = TuningPlanner(config), Store(config.workspace.runs)
        self.resources, self.watcher = resources, watcher

    def do(self, plan: Plan) -> None:
        """Do the jobs of a plan that are missing.

        Raises:
            UserError: one failed, so that a choice would depend on which did.
        """
        failed = complete(plan, self.store, self.resources, self.watcher)
        if failed:
            name, reason = next(iter(failed.items()))
            parameters = plan.jobs[plan.jobs[name].needs[0] if plan.jobs[name].needs else name].context
            stated = getattr(parameters, "parameters", {})
            raise UserError(
                f"{len(failed)} of {len(plan.jobs)} jobs failed, so nothing is chosen; the first, with "
                f"{in_words(stated)}, since {reason.rstrip('.')}. Leave such a point out by --grid, or run the same "
                "command again."
            )

    def accuracy(self, planned: PlannedPoint) -> Accuracy:
        """Return the accuracies of a point whose jobs are done."""
        return read_accuracy(self.store.file(run, EXAMPLES) for run in planned.runs)

    def outcome(self, planned: PlannedPoint) -> Outcome:
        """Return the outcome of a point whose jobs are done."""
        return Outcome(planned.point, self.accuracy(planned) if planned.runs else None, planned.reason)


def _grid(planner: TuningPlanner, name: str, search: Search, how: SearchConfig, plan: Plan) -> list[PlannedPoint]:
    recipe = planner.config.workspace.recipe(name)
    planned = [planner.point(recipe, point, plan) for point in grid_points(search, how.points)]
    if not any(point.runs for point in planned):
        raise _unavailable(planner, name, planned[0].reason)
    return planned


def _unavailable(planner: TuningPlanner, name: str, reason: str) -> UserError:
    return UserError(f"The recipe {name} cannot be trained on {planner.combination}: it {reason}.")


def _suggested(runs: _Runs, name: str, search: Search, how: SearchConfig, baseline: Accuracy) -> Iterator[Outcome]:
    """Yield the outcomes of the points that optuna suggests; one that does not keep the clean accuracy is told as -1.

    Raises:
        UserError: the recipe cannot be trained, or a job failed.
    """
    recipe, suggestions, seen = runs.planner.config.workspace.recipe(name), Suggestions(search), list[dict[str, Any]]()
    for _ in range(how.trials or 0):
        plan = Plan()
        planned = runs.planner.point(recipe, suggestions.ask(), plan)
        if planned.reason:
            raise _unavailable(runs.planner, name, planned.reason)
        runs.do(plan)
        outcome = runs.outcome(planned)
        kept = is_kept(outcome, baseline, how.keep)
        suggestions.tell(float(outcome.accuracy.noise) if outcome.accuracy and kept else -1.0)
        if planned.point not in seen:
            seen.append(planned.point)
            yield outcome

"""The matrix of a transfer attack: the same attack on every victim from every source model by itself."""

from collections.abc import Callable, Sequence

from robustbench_pix.catalogue.specs import AttackSpec, SourceSpec, SuiteSpec
from robustbench_pix.errors import UserError
from robustbench_pix.runs.plan import Plan
from robustbench_pix.runs.planning import plan_attacks
from robustbench_pix.runs.plans import Rows, as_rows
from robustbench_pix.runs.request import Request
from robustbench_pix.runs.running import Means, begin, complete
from robustbench_pix.runs.scheduling import Watcher
from robustbench_pix.runs.store import Store


def run_matrix(
    request: Request,
    entry: AttackSpec,
    sources: Sequence[SourceSpec],
    means: Means,
    watcher: Watcher,
    *,
    report: Callable[[str], None],
) -> list[Rows]:
    """Do what is missing, and return for each source the rows of the victims under a suite of this attack alone.

    The request's own suite is not looked at, and no plan is saved: the board shows suites.

    Raises:
        UserError: a source or a victim is wrong, no victim can run, data is missing, or nothing more can be written.
    """
    device = begin(means)
    suite = SuiteSpec(name=entry.name, path=entry.path, summary=entry.summary, version=1, attacks=(entry.name,))
    entries = [entry.model_copy(update={"sources": (source,)}) for source in sources]
    plans = [plan_attacks(request, suite, [one], device) for one in entries]
    victims = plans[0].rows
    if not any(victim.cells for victim in victims):
        reasons = "; ".join(f"{victim.facts['recipe']} {victim.facts['note']}" for victim in victims)
        raise UserError(f"No victim can run ({reasons}); name another --recipe.")
    whole = Plan(local_code=any(plan.local_code for plan in plans))
    for plan in plans:
        whole.jobs |= plan.jobs
    failed = complete(whole, Store(request.workspace.runs), means, watcher, report=report)
    return [as_rows(plan.rows, failed) for plan in plans]

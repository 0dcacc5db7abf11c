"""Run a configuration: plan it, do the jobs that are missing, save the plan, return its rows."""

from collections.abc import Sequence

from robustbench_pix.catalogue.specs import AttackSpec, SourceSpec, SuiteSpec
from robustbench_pix.devices import resolve_device, trainings_together, worker_devices
from robustbench_pix.errors import UserError
from robustbench_pix.foreign import watched_keyboard
from robustbench_pix.import_path import libraries_first
from robustbench_pix.runs.claims import Claims, forget_dead_claims
from robustbench_pix.runs.clients import RUN, at_work, forget_dead, wait_for_cleaners
from robustbench_pix.runs.cluster.cluster_file import read_cluster
from robustbench_pix.runs.executors import inline, processes
from robustbench_pix.runs.external_model import keep
from robustbench_pix.runs.failures import forget
from robustbench_pix.runs.job import ExternalJob, Job
from robustbench_pix.runs.plan_store import CHECK, PlannedRow, Rows, combination_name, save_plan, saved_rows
from robustbench_pix.runs.planner import Plan, make_plan, plan_attacks
from robustbench_pix.runs.progress import Watcher
from robustbench_pix.runs.request import Resources, RunConfig
from robustbench_pix.runs.scheduler import carry_out
from robustbench_pix.runs.store import DISK_ERRORS, Store, disk_error
from robustbench_pix.runs.worker_process import begin_server


@watched_keyboard()
def run_config(config: RunConfig, resources: Resources, watcher: Watcher) -> Rows:
    """Do the jobs of a configuration that are missing, and return its rows with the reasons of what failed.

    Raises:
        UserError: the configuration or the data is wrong, or nothing more can be written; what was finished is kept.
    """
    device = begin(resources)
    plan, store = make_plan(config, device), Store(config.workspace.runs)
    announce_replaced(plan.rows, config, store, watcher)
    save_plan(plan.rows, store)
    failed = complete(plan, store, resources, watcher)
    rows = [row.after(failed) for row in plan.rows]
    if failed:
        save_plan(rows, store)
    return rows


def run_transfer_matrix(
    config: RunConfig, entry: AttackSpec, sources: Sequence[SourceSpec], resources: Resources, watcher: Watcher
) -> list[Rows]:
    """Do what is missing, and return for each source the rows of the victims under a suite of this attack alone.

    No plan is saved: the board shows suites.

    Raises:
        UserError: a source or a victim is wrong, no victim can run, data is missing, or nothing more can be written.
    """
    device = begin(resources)
    suite = SuiteSpec(name=entry.name, path=entry.path, summary=entry.summary, version=1, attacks=(entry.name,))
    entries = [entry.model_copy(update={"sources": (source,)}) for source in sources]
    plans = [plan_attacks(config, suite, [one], device) for one in entries]
    victims = plans[0].rows
    if not any(victim.runs for victim in victims):
        reasons = "; ".join(f"{victim.recipe} {victim.facts['note']}" for victim in victims)
        raise UserError(f"No victim can run ({reasons}); name another --recipe.")
    whole = Plan(local_code=any(plan.local_code for plan in plans))
    for plan in plans:
        whole.jobs |= plan.jobs
    failed = complete(whole, Store(config.workspace.runs), resources, watcher)
    return [[row.after(failed) for row in plan.rows] for plan in plans]


def begin(resources: Resources) -> str:
    """Let worker processes import while the plan is made, or read the file of the cluster; return the device.

    Raises:
        UserError: the device is not there, or the file is wrong.
    """
    libraries_first()
    if resources.cluster is not None:
        read_cluster(resources.cluster)
    elif resources.executor == "processes":
        begin_server()
    return resolve_device(resources.device)


def complete(plan: Plan, store: Store, resources: Resources, watcher: Watcher) -> dict[str, str]:
    """Do the jobs of a plan that are missing, and return why some failed, by their names.

    Raises:
        UserError: nothing more can be written; what was finished is kept.
    """
    try:
        store.root.mkdir(parents=True, exist_ok=True)
        executor = "dask" if resources.on_cluster else resources.executor
        with at_work(store.root, RUN, {"jobs": len(plan.jobs), "executor": executor}) as client:
            wait_for_cleaners(store.root)
            forget_dead(store.root)
            forget_dead_claims(store.root)
            store.sweep()
            return _complete(plan, store, resources, watcher, Claims(store.root, client))
    except OSError as error:
        raise (disk_error(store.root, error) if error.errno in DISK_ERRORS else error) from error


def _complete(plan: Plan, store: Store, resources: Resources, watcher: Watcher, claims: Claims) -> dict[str, str]:
    device = resolve_device(resources.device)
    jobs = plan.missing(store)
    for job in jobs:
        if store.has(job.name) and claims.take(job.name):
            damage = store.has(job.name) and store.damage(job.name)  # Another client may have removed or mended it.
            if damage:
                watcher.say(f"{store.folder(job.name)} is damaged ({damage}); it is made again.")
                store.remove(job.name)
            claims.release(job.name)
    names = {job.name for job in jobs}
    forget(store.root, names)
    watcher.started(jobs, [job for name, job in plan.jobs.items() if name not in names])
    for job in [job for job in jobs if isinstance(job, ExternalJob)]:
        keep(job, plan.external[job.name], store)
        watcher.finished(job, None)
        jobs.remove(job)
    plan.external.clear()
    if not jobs:
        return {}
    if resources.on_cluster:
        return _complete_on_cluster(plan, jobs, store, resources, watcher, claims)
    devices = worker_devices(device, resources.workers)
    in_here = resources.executor == "inline" or plan.local_code
    with inline(devices[0]) if in_here else processes(devices[: len(jobs)]) as executor:
        slots = 1 if in_here else len(devices)
        together = trainings_together(device)
        return carry_out(jobs, store, executor, watcher, claims, slots=lambda: slots, together=together)


def _complete_on_cluster(
    plan: Plan, jobs: list[Job], store: Store, resources: Resources, watcher: Watcher, claims: Claims
) -> dict[str, str]:
    from robustbench_pix.runs.cluster.run_on_cluster import DEATHS, cluster, cluster_of

    spec = cluster_of(resources, resolve_device(resources.device))
    with cluster(spec, jobs, store, watcher, local_code=plan.local_code) as (executor, slots):
        together = trainings_together(spec.device)
        return carry_out(jobs, store, executor, watcher, claims, slots=slots, together=together, deaths=DEATHS)


def announce_replaced(rows: Rows, config: RunConfig, store: Store, watcher: Watcher) -> None:
    """Say which rows with outcomes leave the board once these rows are planned, and why.

    Raises:
        UserError: one of them is of another external model of the same name, and the configuration does not replace it.
    """
    fresh = {(*row.setting, row.recipe): row for row in rows}
    hashes = {row.setting: row.hashes for row in rows}
    for old in saved_rows(store):
        facts, new = old.facts, fresh.get((*old.setting, old.recipe))
        if old.setting not in hashes or not _is_measured(old, store):
            continue
        title = f"{old.recipe} on {combination_name(facts)} under {facts['suite']}"
        stays = "its runs stay until rbp clean --unused"
        if hashes[old.setting] != old.hashes:
            watcher.say(f"{title} leaves the board, since its task or suite is defined otherwise now; {stays}.")
        elif new is not None and new.facts["recipe_hash"] != facts["recipe_hash"]:
            if config.external is not None and not config.replace:
                model = ", ".join(str(facts.get("remark", "")).split(", ")[:2])
                raise UserError(
                    f"The board has another model as {title} ({model}); give this one another --name, or "
                    "--replace that one."
                )
            now = new.facts["recipe_hash"] or f"not run: it {new.facts['note']}"
            watcher.say(f"{title} gives way to another one of its name ({facts['recipe_hash']}, now {now}); {stays}.")


def _is_measured(row: PlannedRow, store: Store) -> bool:
    return any(store.fault(run.run) is None for run in row.runs if run.attack != CHECK)

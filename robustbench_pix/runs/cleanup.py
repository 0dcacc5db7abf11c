"""What may be removed from ``runs/``: leftovers, damaged folders and, on request, runs that no plan names."""

import shutil
from pathlib import Path

from robustbench_pix.catalogue.workspace import Workspace
from robustbench_pix.errors import UserError
from robustbench_pix.runs.heartbeat import age_seconds
from robustbench_pix.runs.plan_store import plans_set_aside, saved_rows
from robustbench_pix.runs.scratch import ABANDONED_SECONDS, fate, writer
from robustbench_pix.runs.store import Store

Reasons = list[tuple[Path, str]]
"""Folders, each with the reason why it goes or stays."""


def removable(workspace: Workspace, *, unused: bool, alone: bool) -> tuple[Reasons, Reasons]:
    """Return folders to remove and scratch folders that stay. A source model counts as used where its attacks are.

    Args:
        workspace: whose runs are looked at.
        unused: whether finished runs that no plan names go as well.
        alone: whether nobody else is at work; else nothing but the scratch folders of the dead goes.

    Raises:
        UserError: plans are gone or were set aside, so that it is unknown which runs are used.
    """
    store = Store(workspace.runs)
    found, kept = _scratches(store)
    if not alone:
        return found, kept
    runs = {store.folder(name): store.damage(name) for name in store.runs()}
    found += [(path, f"damaged ({damage})") for path, damage in runs.items() if damage]
    if unused:
        whole = [path for path, damage in runs.items() if not damage]
        used = _used(store, whole)
        found += [(path, "no plan names it") for path in whole if path.name not in used]
    return found, kept


def remove(path: Path) -> None:
    """Remove a folder with all that is in it."""
    shutil.rmtree(path)


def _scratches(store: Store) -> tuple[Reasons, Reasons]:
    found: Reasons = []
    kept: Reasons = []
    for path in store.scratches():
        who, state = writer(path), fate(path)
        begun = f"begun by process {who.process} on {who.host}" if who else "begun by an unknown process"
        since = f"untouched for {age_seconds(path) / 60:.0f} min"
        if state == "left":
            found.append((path, f"left by an interrupted run, {begun}"))
        elif state == "written":
            kept.append((path, f"{begun}, which writes it"))
        else:
            minutes = ABANDONED_SECONDS // 60
            kept.append((path, f"{begun}, {since}; it counts as left after {minutes} min"))
    return found, kept


def _used(store: Store, whole: list[Path]) -> set[str]:
    rows, aside = saved_rows(store), plans_set_aside(store)
    if aside or (whole and not rows):
        what = f"{len(aside)} of them are set aside" if aside else "there are none"
        raise UserError(
            f"The plans in {store.root / 'plans'} say which runs are unused, and {what}; repeat the commands that made "
            "the runs, which writes their plans again, or delete runs by hand."
        )
    used = {name for row in rows for run in row.runs for name in (run.model, run.run)}
    return used | {need for path in whole if path.name in used for need in store.spec(path.name)["needs"]}

"""What may be removed from ``runs/``: leftovers, damaged folders and, on request, runs that no plan names."""

import shutil
from pathlib import Path

from robustbench_pix.catalogue.workspace import Workspace
from robustbench_pix.errors import UserError
from robustbench_pix.runs.plan_store import plans_set_aside, saved_rows
from robustbench_pix.runs.scratch import ABANDONED_SECONDS, fate, untouched_seconds, writer
from robustbench_pix.runs.store import Store

Reasons = list[tuple[Path, str]]
"""Folders, each with the reason why it goes or stays."""


def removable(workspace: Workspace, *, unused: bool) -> tuple[Reasons, Reasons]:
    """Return folders to remove and scratch folders that stay. A source model counts as used where its attacks are.

    Raises:
        UserError: plans are gone or were set aside, so that it is unknown which runs are used.
    """
    store = Store(workspace.runs)
    found, kept = _scratches(store, unused=unused)
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


def _scratches(store: Store, *, unused: bool) -> tuple[Reasons, Reasons]:
    found: Reasons = []
    kept: Reasons = []
    for path in store.scratches():
        who, state = writer(path), fate(path)
        where = f"on {who.host}, of another kernel or since started again" if who else "by an unknown process"
        since = f"untouched for {untouched_seconds(path) / 3600:.1f} h"
        if state == "left":
            found.append((path, "left by an interrupted run"))
        elif state == "written":
            kept.append((path, f"process {who.process if who else ''} of this machine writes it"))
        elif unused and untouched_seconds(path) > ABANDONED_SECONDS:
            found.append((path, f"begun {where}, {since}"))
        else:
            hours = ABANDONED_SECONDS // 3600
            kept.append((path, f"begun {where}, {since}; --unused removes it once that is more than {hours} h"))
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

"""What may be removed from ``runs/``: left-overs, damaged folders and, on request, runs that no plan names."""

import shutil
from pathlib import Path

from robustbench_pix.catalogue.workspace import Workspace
from robustbench_pix.runs.plans import saved_rows
from robustbench_pix.runs.store import Store


def removable(workspace: Workspace, *, unused: bool) -> list[tuple[Path, str]]:
    """Return folders to remove, each with the reason. A source model counts as used where its attacks are."""
    store = Store(workspace.runs)
    found = [(path, "left by an interrupted run") for path in store.scratches() if not store.is_alive(path)]
    runs = sorted(path for kind in ("train", "given", "attack", "check") for path in store.root.glob(f"{kind}-*"))
    damaged = {path: damage for path in runs if (damage := store.damage(path.name))}
    found += [(path, f"damaged ({damage})") for path, damage in damaged.items()]
    if unused:
        used = {name for row in saved_rows(store) for cell in row["cells"] for name in (cell["model"], cell["run"])}
        whole = [path for path in runs if path not in damaged]
        used |= {need for path in whole if path.name in used for need in store.spec(path.name)["needs"]}
        found += [(path, "no plan names it") for path in whole if path.name not in used]
    return found


def remove(path: Path) -> None:
    """Remove a folder with all that is in it."""
    shutil.rmtree(path)

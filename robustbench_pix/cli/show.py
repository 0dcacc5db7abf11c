"""``rbp show NAME``: everything about one recipe, task, attack, suite, set of images or run."""

from typing import Any

import rich_click as click

from robustbench_pix.catalogue.registries import datasets
from robustbench_pix.catalogue.regularizer_parameters import check_parameters
from robustbench_pix.catalogue.specs import CatalogueSpec, RecipeSpec
from robustbench_pix.catalogue.workspace import FOLDERS, Workspace
from robustbench_pix.cli.options import format_option, workspace_option
from robustbench_pix.cli.output import write_fields
from robustbench_pix.errors import UserError, nearest
from robustbench_pix.runs.plans import CHECK, saved_rows
from robustbench_pix.runs.store import EVIDENCE, Store

IMAGES = {
    "digits": "all 1,097 training images of scikit-learn's digits, 8x8",
    "mnist": "the first 5,000 training images, 28x28",
    "fashionmnist": "the first 5,000 training images, 28x28",
    "cifar10": "the first 5,000 training images, 32x32, cropped and flipped once by a fixed stream",
    "cifar100": "the first 5,000 training images, 32x32, cropped and flipped once by a fixed stream",
    "natural": "5,000 pictures of the folder natural/, by a fixed permutation of the sorted paths, cropped 9:16, 36x64",
}


@click.command()
@click.argument("name")
@workspace_option
@format_option
def show(name: str, workspace: Workspace, style: str) -> None:
    """Show a recipe, task, attack, suite, set of images, or a run folder by its name.

    \b
    Examples:
    $ rbp show thresholded
    $ rbp show train-0123456789abcdef
    """
    rows = [
        row
        for kind, folder in FOLDERS.items()
        if name in workspace.names(folder)
        for row in _entry(kind, getattr(workspace, kind)(name))
    ]
    if name in datasets.names():
        rows += _rows("images", {"name": name, "content": IMAGES.get(name, "registered by a package")})
    store = Store(workspace.runs)
    run = name.rstrip("/").rpartition("/")[2]
    if run.startswith(("train-", "given-", "attack-", "check-")) and store.has(run):
        rows += _rows("run", _run(run, store))
    rows += _checks({name, run}, store)
    if not rows:
        known = {known for folder in FOLDERS.values() for known in workspace.names(folder)} | set(datasets.names())
        raise UserError(
            f"There is no recipe, task, attack, suite, set of images or run named {name!r}.{nearest(name, known)} "
            "(rbp models, attacks, suites and tasks list them.)"
        )
    write_fields(rows, style)


def _checks(names: set[str], store: Store) -> list[dict[str, Any]]:
    """Return what the checks of gradients found in the models of a recipe, or in one model, or by one check."""
    checks = {
        cell["run"]: f"{row['facts']['recipe']} on {row['facts']['task']}:{row['facts']['images']}, seed {cell['seed']}"
        for row in saved_rows(store)
        for cell in row["cells"]
        if cell["attack"] == CHECK and names & {row["facts"]["recipe"], cell["model"], cell["run"]}
    }
    return [
        line
        for run, title in checks.items()
        if store.has(run)
        for line in _rows("gradients", _signs(run, title, store))
    ]


def _signs(run: str, title: str, store: Store) -> dict[str, Any]:
    import pandas as pd

    from robustbench_pix.results.masking import signs

    found = signs(pd.read_parquet(store.folder(run) / EVIDENCE))
    told = {
        sign.question: f"{sign.images} of {sign.of} images; {'TOO MANY, ' if sign.shows else ''}"
        f"up to {sign.allowed:g} may"
        for sign in found
    }
    masked = any(sign.shows for sign in found)
    return {
        "name": title,
        "verdict": "masked" if masked else "sound",
        "radius": store.spec(run)["identity"]["radius"],
    } | told


def _entry(kind: str, spec: CatalogueSpec) -> list[dict[str, Any]]:
    """Return one row a field; a recipe's defaults and tuning are filled in."""
    fields = spec.model_dump(mode="json")
    if isinstance(spec, RecipeSpec):
        fields["parameters"] = check_parameters(spec.regularizer, spec.parameters)
        fields["tuned"] = {f"{t.task}:{t.images}": t.parameters for t in spec.tuned}
    return _rows(kind, fields)


def _rows(kind: str, fields: dict[str, Any], prefix: str = "") -> list[dict[str, Any]]:
    """Return one row a field, nested fields spelled with dots."""
    rows = []
    for field, value in fields.items():
        if isinstance(value, dict):
            rows += _rows(kind, value, f"{prefix}{field}.")
        elif isinstance(value, list) and value and isinstance(value[0], dict):
            rows += _rows(kind, {str(place): table for place, table in enumerate(value, start=1)}, f"{prefix}{field}.")
        else:
            rows.append({"kind": kind, "field": f"{prefix}{field}", "value": value})
    return rows


def _run(name: str, store: Store) -> dict[str, Any]:
    damage = store.damage(name)
    facts = {
        "name": name,
        "state": f"damaged: {damage}; the command that made it makes it again" if damage else "whole",
    }
    try:
        spec = store.spec(name)
        about = {key: spec[key] for key in ("version", "torch", "device", "processor", "seconds")}
        return {**facts, "title": spec["context"]["title"], **about, "identity": spec["identity"]}
    except (OSError, ValueError, KeyError):
        return facts

"""``rbp show NAME``: everything about one recipe, task, attack, suite, set of images or run."""

import json
from typing import Any

import rich_click as click

from robustbench_pix.catalogue.registries import datasets
from robustbench_pix.catalogue.specs import CatalogueSpec, RecipeSpec, check_parameters
from robustbench_pix.catalogue.workspace import Workspace
from robustbench_pix.cli.options import format_option, workspace_option
from robustbench_pix.cli.output import write_rows
from robustbench_pix.errors import unknown
from robustbench_pix.runs.store import SPEC, Store

FOLDERS = {"recipe": "models", "task": "models/tasks", "attack": "attacks", "suite": "attacks/suites"}

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
    Examples: rbp show thresholded
              rbp show train-0123456789abcdef
    """
    rows = [
        row
        for kind, folder in FOLDERS.items()
        if name in workspace.names(folder)
        for row in _entry(kind, getattr(workspace, kind)(name))
    ]
    if name in datasets.names():
        rows.append({"kind": "images", "field": "what they are", "value": IMAGES.get(name, "registered by a package")})
    store = Store(workspace.runs)
    run = name.rstrip("/").rpartition("/")[2]
    if (store.folder(run) / SPEC).is_file():
        rows += _run(run, store)
    if not rows:
        known = {known for folder in FOLDERS.values() for known in workspace.names(folder)} | set(datasets.names())
        raise unknown(
            "recipe, task, attack, suite, images or run", name, known, list_with="rbp models, attacks, suites or tasks"
        )
    write_rows(rows, style)


def _entry(kind: str, spec: CatalogueSpec) -> list[dict[str, Any]]:
    """Return one row a field, nested fields spelled with dots; a recipe's defaults and tuning are filled in."""
    fields = spec.model_dump(mode="json")
    if isinstance(spec, RecipeSpec):
        fields["parameters"] = check_parameters(spec.regularizer, spec.parameters)
        fields["tuned"] = {f"{t.task}:{t.images}": t.parameters for t in spec.tuned}
    rows = []
    for field, value in fields.items():
        if isinstance(value, dict):
            rows += [{"kind": kind, "field": f"{field}.{key}", "value": _text(inner)} for key, inner in value.items()]
        else:
            rows.append({"kind": kind, "field": field, "value": _text(value)})
    return rows


def _run(name: str, store: Store) -> list[dict[str, Any]]:
    spec = store.spec(name)
    damage = store.damage(name)
    facts = {
        "title": spec["context"]["title"],
        "state": f"damaged: {damage}" if damage else "whole",
        **{key: spec[key] for key in ("version", "torch", "device", "processor", "seconds")},
        **{f"identity.{key}": value for key, value in spec["identity"].items()},
    }
    return [{"kind": "run", "field": key, "value": _text(value)} for key, value in facts.items()]


def _text(value: Any) -> Any:
    return json.dumps(value) if isinstance(value, (dict, list)) else value

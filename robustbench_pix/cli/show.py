"""``rbp show NAME``: everything about one recipe, task, attack, suite, data set or run."""

from collections.abc import Iterator
from typing import Any

import rich_click as click

from robustbench_pix.catalogue import recipe_slots
from robustbench_pix.catalogue.recipe_spec import RecipeSpec
from robustbench_pix.catalogue.registries import datasets, regularizers
from robustbench_pix.catalogue.regularizer_parameters import check_parameters
from robustbench_pix.catalogue.specs import CatalogueSpec
from robustbench_pix.catalogue.workspace import FOLDERS, Workspace
from robustbench_pix.cli.options import listing_options
from robustbench_pix.cli.output import write_fields
from robustbench_pix.errors import UserError, nearest
from robustbench_pix.runs.plan_store import CHECK, NEAREST, PlannedRow, PlannedRun, combination_name, saved_rows
from robustbench_pix.runs.store import EVIDENCE, EXAMPLES, NEAREST_KNOWN, Store

IMAGES = {
    "digits": "all 1,097 training images of scikit-learn's digits, 8x8",
    "mnist": "the first 5,000 training images, 28x28",
    "fashionmnist": "the first 5,000 training images, 28x28",
    "cifar10": "the first 5,000 training images, 32x32, cropped and flipped once by a fixed stream",
    "cifar100": "the first 5,000 training images, 32x32, cropped and flipped once by a fixed stream",
    "natural": "5,000 pictures of the folder natural/, by a fixed permutation of the sorted paths, cropped 9:16, 36x64",
    "kriegeskorte92": "92 images of objects with similarities of macaque and human inferior temporal cortex",
    "v4": "640 images with the spike counts of 50 neurons of macaque V4, 6 to 10 repeats",
}


@click.command()
@click.argument("name")
@listing_options
def show(name: str, workspace: Workspace, style: str) -> None:
    """Show a recipe, task, attack, suite, data set or run by its name.

    \b
    Examples:
    $ rbp show thresholded
    $ rbp show train-0123456789abcdef
    """
    rows = [
        row
        for kind, folder in FOLDERS.items()
        if name in workspace.names(folder)
        for row in _entry(kind, getattr(workspace, kind)(name), workspace)
    ]
    if name in datasets.names():
        rows += _rows("images", {"name": name, "content": IMAGES.get(name, "registered by a package")})
    store = Store(workspace.runs)
    run = name.rstrip("/").rpartition("/")[2]
    if run.startswith(("train-", "given-", "attack-", "check-", "nearest-", "validation-")) and store.has(run):
        rows += _rows("run", _run(run, store)) + _rows("training", _training(run, store))
    rows += _checks({name, run}, store) + _distances({name, run}, store)
    if not rows:
        known = {known for folder in FOLDERS.values() for known in workspace.names(folder)} | set(datasets.names())
        raise UserError(
            f"There is no recipe, task, attack, suite, data set or run named {name!r}.{nearest(name, known)} "
            "(rbp recipes, attacks, suites and tasks list them.)"
        )
    write_fields(rows, style)


def _training(run: str, store: Store) -> dict[str, Any]:
    """Return what the log of a training says; nothing of another run, nor where there is no log."""
    if not run.startswith("train-"):
        return {}
    from robustbench_pix.results.trainings import facts_of_run

    facts = facts_of_run(run, store)
    return {"name": run, **facts} if facts else {}


def _checks(names: set[str], store: Store) -> list[dict[str, Any]]:
    """Return what the checks of gradients found in the models of a recipe, or in one model, or by one check."""
    checks = {run.run: title for _, run, title in _finished(CHECK, names, store)}
    return [line for run, title in checks.items() for line in _rows("gradients", _signs(run, title, store))]


def _distances(names: set[str], store: Store) -> list[dict[str, Any]]:
    """Return the smallest known distances of the models of a recipe, or of one model, and how near attacks came."""
    return [
        line
        for row, run, title in _finished(NEAREST, names, store)
        for line in _rows("distances", _inflations(row, run, title, store))
    ]


def _finished(what: str, names: set[str], store: Store) -> Iterator[tuple[PlannedRow, PlannedRun, str]]:
    """Yield the finished checks or searches of a recipe, of one model, or of one name."""
    for row in saved_rows(store):
        for run in row.runs:
            if run.attack == what and names & {row.recipe, run.model, run.run} and run.finished(store):
                yield (
                    row,
                    run,
                    f"{row.recipe} on {combination_name(row.facts)}, seed {run.seed}",
                )


def _inflations(row: PlannedRow, search: PlannedRun, title: str, store: Store) -> dict[str, Any]:
    import pandas as pd

    from robustbench_pix.results.inflation import attack_inflation

    nearest = pd.read_parquet(store.file(search.run, NEAREST_KNOWN))
    fields: dict[str, Any] = {
        "name": title,
        "images": len(nearest),
        "mean smallest known l2 distance": f"{nearest['l2'].mean():.4g}",
    }
    for run in row.finished(store):
        if run.model == search.model and run.is_attack:
            attack = store.spec(run.run)["identity"]["attack"]
            examples = pd.read_parquet(store.file(run.run, EXAMPLES))
            inflation = attack_inflation(examples, attack, nearest)
            fields |= {f"{run.attack} ended at": f"{inflation:.3f} times it"} if inflation == inflation else {}
    return fields


def _signs(run: str, title: str, store: Store) -> dict[str, Any]:
    import pandas as pd

    from robustbench_pix.results.gradient_masking import signs, verdict

    evidence = pd.read_parquet(store.file(run, EVIDENCE))
    answers = {
        sign.question: f"{sign.images} of {sign.of} images; {'TOO MANY, ' if sign.shows else ''}"
        f"up to {sign.allowed:g} may"
        for sign in signs(evidence)
    }
    radii = ", ".join(f"{radius:g}" for radius in store.spec(run)["identity"]["radii"])
    return {"name": title, "verdict": verdict(evidence).partition(":")[0], "radii": radii} | answers


def _entry(kind: str, spec: CatalogueSpec, workspace: Workspace) -> list[dict[str, Any]]:
    """Return one row a field; a recipe's defaults, tuning, slots, needs and controls are filled in."""
    fields = spec.model_dump(mode="json")
    if isinstance(spec, RecipeSpec):
        penalty = check_parameters(spec.regularizer, spec.parameters)
        fields["recipe"] = fields.pop("regularizer")
        fields["parameters"] = penalty.stated if penalty else {}
        fields["tuned"] = {
            entry.label: entry.parameters | ({"source": entry.source} if entry.source else {}) for entry in spec.tuned
        }
        fields |= _slots(spec)
        others = [workspace.recipe(name) for name in workspace.names(FOLDERS["recipe"])]
        fields["control"] = {other.name: other.summary for other in others if other.controls == spec.name}
    return _rows(kind, fields)


def _slots(spec: RecipeSpec) -> dict[str, Any]:
    """Return what a recipe changes in training, and what it needs for that."""
    if spec.regularizer is None:
        return {}
    if spec.regularizer in recipe_slots.SHIPPED:
        return {name: list(value) for name, value in recipe_slots.SHIPPED[spec.regularizer]._asdict().items()}
    from robustbench_pix.recipes.contract import needs_of, slots_of

    target = regularizers.load(spec.regularizer, spec.folder)
    return {"slots": slots_of(target), "needs": needs_of(target)}


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
    if store.fault(name):
        return facts
    spec = store.spec(name)
    about = {key: spec[key] for key in ("version", "torch", "device", "processor", "seconds")}
    return {**facts, "title": spec["context"]["title"], **about, "identity": spec["identity"]}

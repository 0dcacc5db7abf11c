"""Measure what candidates of a reduced protocol give: accuracy, accuracy under noise, penalty, layer weights, seconds.

    python studies/protocols.py --data-root DATA          # the trials of protocols.toml that protocols.csv lacks
    python studies/protocols.py --table                   # the table of docs/mnist.md

A trial trains one model and measures it on the last 2,000 training images, which no trial trains on; test images are
never read. ``seconds`` are processor time of the training, on one thread. ``layer`` is the tapped layer with the
largest learned weight at the end (0 is the stem), ``share`` that weight. A trial gives the same row on one machine.
"""

import argparse
import csv
import os
import time
import tomllib
from dataclasses import replace
from functools import partial
from pathlib import Path
from statistics import fmean, stdev
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")

FOLDER = Path(__file__).parent
TRIALS, RESULTS = FOLDER / "protocols.toml", FOLDER / "protocols.csv"
HELD_OUT_IMAGES = 2000
SIGMAS = (0.1, 0.2, 0.278, 0.35, 0.5)
PROTOCOL = ("task", "network", "width", "stem_stride", "pixels", "images", "epochs", "learning_rate", "decay_every")
TRIAL = (*PROTOCOL, "recipe", "alpha", "threshold", "seed")
FACTS = ("seconds", "clean", *(f"sigma_{sigma}" for sigma in SIGMAS), "first_penalty", "last_penalty", "layer", "share")
DEFAULTS = {
    "task": "mnist", "network": "resnet18", "width": 16, "stem_stride": 2, "pixels": 28, "images": 15000, "epochs": 8,
    "learning_rate": 0.1, "decay_every": 2, "recipe": "unregularized", "alpha": 0.0, "threshold": 0.0, "seed": 100,
}  # fmt: skip


def trials() -> list[dict[str, Any]]:
    """Return every trial that the file lists: each entry once for each of its seeds."""
    entries = tomllib.loads(TRIALS.read_text())["trial"]
    expanded = [{**DEFAULTS, **entry, "seed": seed} for entry in entries for seed in entry.get("seeds", [100])]
    return [{name: trial[name] for name in TRIAL} for trial in expanded]


def measured() -> list[dict[str, str]]:
    """Return the rows that are there."""
    if not RESULTS.is_file():
        return []
    with RESULTS.open(newline="") as file:
        return list(csv.DictReader(file))


def measure(trial: dict[str, Any], root: Path) -> dict[str, Any]:
    """Train and measure one trial."""
    import torch

    from robustbench_pix.catalogue.specs import TrainingSpec
    from robustbench_pix.catalogue.workspace import Workspace
    from robustbench_pix.data.base import load_dataset
    from robustbench_pix.data.preparation import regularization_data, resized, split
    from robustbench_pix.networks.building import build_network
    from robustbench_pix.recipes.contract import RecipeContext
    from robustbench_pix.regularizers.similarity_regularizer import SimilarityRegularizer
    from robustbench_pix.runs.training_job import feature_shapes
    from robustbench_pix.training.batches import TrainingData
    from robustbench_pix.training.loop import train

    torch.set_num_threads(1)
    task = Workspace(Path.cwd()).task(trial["task"])
    data = load_dataset(task.dataset, task.folder, root=root, colour=task.colour)
    images = resized(data.train_images, (trial["pixels"], trial["pixels"]))
    data = replace(data, train_images=images, test_images=None, test_labels=None)
    spec = TrainingSpec(
        epochs=trial["epochs"],
        learning_rate=trial["learning_rate"],
        decay_every=trial["decay_every"],
        restart_every=trial["epochs"],
        minimum_batch=16,
        validation_fraction=0.02,
    )
    stride = {"stem_stride": trial["stem_stride"]} if trial["network"] == "resnet18" else {}
    build = partial(build_network, trial["network"], None, channels=images.shape[1], classes=data.classes)
    network = build(dict(task.network_parameters) | {"width": trial["width"], **stride}, seed=trial["seed"])
    network.pool = None  # Of the whole map, whatever its size.
    parts = split(data, seed=trial["seed"], fraction=spec.validation_fraction, limit=trial["images"])
    recipe, regularizing = None, images[:0]
    if trial["recipe"] != "unregularized":
        regularizing = regularization_data(data, count=spec.regularization_images, colour=task.colour).images
        context = RecipeContext(regularizing, feature_shapes(network, regularizing, "cpu"), trial["seed"])
        threshold = {"threshold": trial["threshold"]} if trial["recipe"] == "thresholded" else {}
        recipe = SimilarityRegularizer(context, target=trial["recipe"], **threshold)
    began = time.process_time()
    trained = train(network, recipe, TrainingData(*parts, regularizing), spec, seed=trial["seed"],
                    alpha=trial["alpha"], device="cpu")  # fmt: skip
    seconds = time.process_time() - began
    network.load_state_dict(trained.state)
    held_out = images[-HELD_OUT_IMAGES:].float() / 255
    labels = data.train_labels[-HELD_OUT_IMAGES:]
    noise = torch.randn(held_out.shape, generator=torch.Generator().manual_seed(0))
    accuracies = [accuracy(network, (held_out + sigma * noise).clamp(0, 1), labels) for sigma in (0.0, *SIGMAS)]
    weights = recipe.layer_logits.detach().softmax(0) if recipe is not None else None
    collapse = [int(weights.argmax()), round(float(weights.max()), 3)] if weights is not None else ["", ""]
    penalties = [round(trained.log[epoch]["penalty"], 2) for epoch in (0, -1)] if recipe is not None else ["", ""]
    return trial | dict(zip(FACTS, [round(seconds), *accuracies, *penalties, *collapse], strict=True))


def accuracy(network: Any, images: Any, labels: Any) -> float:
    """Return the share of images that a network in eval mode gets right."""
    import torch

    network.eval()
    with torch.inference_mode():
        logits = torch.cat([network(batch) for batch in images.split(256)])
    return round(float((logits.argmax(dim=1) == labels).float().mean()), 4)


def table(rows: list[dict[str, str]]) -> list[str]:
    """Return the Markdown table: one line a protocol and recipe, means over seeds, the spread at the middle noise.

    Lines are in the order in which the file lists the trials.
    """
    order = [tuple(str(trial[name]) for name in TRIAL) for trial in trials()]
    rows = sorted(rows, key=lambda row: order.index(tuple(row[name] for name in TRIAL)))
    groups = dict[tuple[str, ...], list[dict[str, str]]]()
    for row in rows:
        groups.setdefault(tuple(row[name] for name in TRIAL[:-1]), []).append(row)
    lines = [
        "| task | network | pixels | images x epochs | recipe | seeds | s | clean | .278 | .5 | penalty | layer |",
        "|---|---|--:|--:|---|--:|--:|--:|--:|--:|--:|---|",
    ]
    for members in groups.values():
        first, middle = members[0], [float(row["sigma_0.278"]) for row in members]
        mean = {name: fmean(float(row[name]) for row in members) for name in ("seconds", "clean", "sigma_0.5")}
        spread = f" ({stdev(middle):.3f})" if len(middle) > 1 else ""
        recipe, penalty, layers = first["recipe"], "", ""
        if recipe != "unregularized":
            recipe += f" {float(first['alpha']):g}" + f", {float(first['threshold']):g}" * (recipe == "thresholded")
            penalty = " to ".join(
                f"{fmean(float(row[f'{end}_penalty']) for row in members):.1f}" for end in ("first", "last")
            )
            layers = ", ".join(f"{row['layer']} ({float(row['share']):.2f})" for row in members)
        stem = f" / {first['stem_stride']}" if first["network"] == "resnet18" else ""
        cells = [
            first["task"], f"{first['network']} {first['width']}{stem}", first["pixels"],
            f"{first['images']} x {first['epochs']}", recipe, len(members), f"{mean['seconds']:.0f}",
            f"{mean['clean']:.3f}", f"{fmean(middle):.3f}{spread}", f"{mean['sigma_0.5']:.3f}", penalty, layers,
        ]  # fmt: skip
        lines.append("| " + " | ".join(map(str, cells)) + " |")
    return lines


def main() -> None:
    """Run what is missing, or print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data-root", type=Path, default=Path(".data"))
    parser.add_argument("--table", action="store_true")
    options = parser.parse_args()
    if options.table:
        print("\n".join(table(measured())))
        return
    there = {tuple(row[name] for name in TRIAL) for row in measured()}
    for trial in trials():
        if tuple(str(trial[name]) for name in TRIAL) in there:
            continue
        row = measure(trial, options.data_root)
        is_new = not RESULTS.is_file()
        with RESULTS.open("a", newline="") as file:
            writer = csv.DictWriter(file, fieldnames=[*TRIAL, *FACTS], lineterminator="\n")
            if is_new:
                writer.writeheader()
            writer.writerow(row)
        print(row, flush=True)


if __name__ == "__main__":
    main()

"""Choose the range of strengths of each attack on a task by one rule, on validation images of unregularized models.

    python studies/ranges.py --on digits --suites noise,blackbox --weights /tmp/models
    python studies/ranges.py --published; python studies/ranges.py --table

The rule: chance is 1 / classes, and what a model has above it is its clean accuracy less chance. A range goes from the
largest strength up to which 95% of that is left to the smallest at which 10% is left, or to the largest strength that
is possible (1 of pixels in [0, 1]); both are rounded outwards to two digits of the upper end. Below it nothing is lost
and above it nothing is left, so that no strength there can tell models apart. The accuracy is a mean over unregularized
source models, which are never evaluated, each on the validation images that its own training held out.

Attacks of minimal distance have one curve from one run. Others are tried at strengths that double, then at equal steps
between the two that enclose the range. ``--weights`` keeps the models for another call. ``--published`` applies the
rule to the curves of Attias et al. 2024 (means of 7 models, test images, full size), rounded outwards to the strengths
that they measured; ``--table`` prints the ranges that the catalogue states.

In an adversarial threat group the attacks of one kind of strength share the range of the strongest of them, since the
score takes the one with the lowest AUC. That of decision-based attacks in l2 is the range of the smallest known
distance (``ddn``), ending a fifth later, since they do not quite reach it.
"""

import argparse
import math
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

KEPT_AT_START, KEPT_AT_END = 0.95, 0.10
"""Of what the clean accuracy is above chance."""

LARGEST = {"linf": 1.0, "half-width": 1.0, "probability": 1.0, "share": 1.0, "sigma": 2.0, "white-sigma": 4.0}
"""What is possible, or so much that clipping leaves hardly a value between 0 and 1; of l2, the root of the entries."""

DOUBLINGS, STEPS = 8, 12
FILE = Path(__file__).parent / "ranges.csv"
DIRECT = "ddn"
"""Stands for the smallest known distance in l2, that of a white-box attack, which no entry of the catalogue gives."""

Curve = Callable[[NDArray[np.float64]], NDArray[np.float64]]
"""Strengths -> mean accuracies."""


class Range(NamedTuple):
    """Where accuracy begins to fall and where it has fallen."""

    low: float
    high: float


def crossing(strengths: NDArray[np.float64], accuracy: NDArray[np.float64], level: float) -> float:
    """Return the first strength at which the accuracy falls to a level, linear between strengths; NaN if nowhere.

    >>> round(crossing(np.array([0.0, 0.1, 0.3]), np.array([0.9, 0.9, 0.5]), 0.6), 6)
    0.25
    """
    below = np.flatnonzero(accuracy <= level)
    if not len(below):
        return math.nan
    end = int(below[0])
    share = (accuracy[end - 1] - level) / (accuracy[end - 1] - accuracy[end])
    return float(strengths[end - 1] + share * (strengths[end] - strengths[end - 1]))


def levels(clean: float, chance: float) -> tuple[float, float]:
    """Return the accuracies at which a range begins and ends."""
    above = clean - chance
    return chance + KEPT_AT_START * above, chance + KEPT_AT_END * above


def find_range(curve: Curve, chance: float, largest: float) -> Range:
    """Return the range of an attack by the rule, not rounded; ``curve`` is asked at strengths from 0 to ``largest``."""
    coarse = np.array([0.0, *(largest / 2**power for power in range(DOUBLINGS, -1, -1))])
    accuracy = curve(coarse)
    upper, lower = levels(float(accuracy[0]), chance)
    first = int(np.flatnonzero(accuracy <= upper)[0]) if (accuracy <= upper).any() else len(coarse) - 1
    last = int(np.flatnonzero(accuracy <= lower)[0]) if (accuracy <= lower).any() else len(coarse) - 1
    fine = np.linspace(coarse[max(first - 1, 0)], coarse[last], STEPS + 1)
    both = np.concatenate([coarse, fine])
    strengths, places = np.unique(both, return_index=True)
    accuracy = np.concatenate([accuracy, curve(np.array([0.0, *fine]))[1:]])[places]
    low, high = crossing(strengths, accuracy, upper), crossing(strengths, accuracy, lower)
    return Range(0.0 if math.isnan(low) else low, largest if math.isnan(high) else high)


def rounded(found: Range, largest: float) -> Range:
    """Return a range whose ends are rounded outwards to two digits, at most the largest strength.

    >>> rounded(Range(0.1234, 0.531), 1.0), rounded(Range(0.0, 1.741), 1.7)
    (Range(low=0.12, high=0.54), Range(low=0.0, high=1.7))
    """
    low, high = _two_digits(found.low, math.floor), _two_digits(found.high, math.ceil)
    return Range(low, min(high, largest))


def _two_digits(value: float, whole: Callable[[float], int]) -> float:
    step = 10.0 ** (math.floor(math.log10(value)) - 1) if value else 1.0
    return round(whole(round(value / step, 6)) * step, 10)


def trained(on: str, size: str, number: int, root: str, folder: str | None) -> tuple[Any, Any, Any]:
    """Return source model ``number`` of a task with the validation images (float32) and labels of its training."""
    import torch

    from robustbench_pix.catalogue.workspace import Workspace
    from robustbench_pix.data.base import load_dataset
    from robustbench_pix.data.preparation import split
    from robustbench_pix.networks.building import build_network
    from robustbench_pix.runs.request import SOURCE_SEED
    from robustbench_pix.training.batches import TrainingData
    from robustbench_pix.training.loop import train

    torch.set_num_threads(1)
    seed = SOURCE_SEED + number
    task = Workspace(Path.cwd()).task(on).at_size(size)
    data = load_dataset(task.dataset, task.folder, root=Path(root), colour=task.colour)
    parts = split(data, seed=seed, fraction=task.training.validation_fraction, limit=task.training.train_images)
    channels = data.train_images.shape[1]
    network = build_network(
        task.network, task.folder, task.network_parameters, channels=channels, classes=data.classes, seed=seed
    )
    kept = Path(folder or ".") / f"{on}-{size}-{number}.pt"
    if folder and kept.exists():
        network.load_state_dict(torch.load(kept, weights_only=True))
    else:
        parts_and_none = TrainingData(*parts, data.train_images[:0])
        state = train(network, None, parts_and_none, task.training, seed=seed, alpha=0.0, device="cpu").state
        network.load_state_dict(state)
        if folder:
            torch.save(network.state_dict(), kept)
    return network.eval(), parts.validation_images.float() / 255, parts.validation_labels


def entry_of(name: str, size: str) -> Any:
    """Return an entry of the catalogue at a size, or the white-box attack that stands for the smallest distance."""
    from robustbench_pix.catalogue.specs import AttackSpec, EvaluationSpec
    from robustbench_pix.catalogue.workspace import Workspace

    if name != DIRECT:
        return Workspace(Path.cwd()).attack(name).at_size(size)
    fields = {"name": DIRECT, "path": Path(), "summary": "", "access": "gradients", "strength": "l2"}
    parameters = {"steps": 200}
    return AttackSpec(**fields, attack="foolbox:DDNAttack", parameters=parameters, evaluation=EvaluationSpec(images=64))


def find(on: str, size: str, name: str, models: int, repetitions: int, root: str, folder: str | None) -> dict[str, Any]:
    """Return the row of one attack on a task: its range, and on what it was found."""
    import pandas as pd

    from robustbench_pix.attacks.base import FixedStrengthAttack
    from robustbench_pix.attacks.building import build_attack
    from robustbench_pix.evaluation.batch import AttackSetting
    from robustbench_pix.evaluation.evaluate import evaluate
    from robustbench_pix.networks.building import ensemble

    spec = entry_of(name, size)
    known = [trained(on, size, number, root, folder) for number in range(models)]
    attack, evaluation = build_attack(spec), spec.evaluation
    if spec.access == "none":
        evaluation = evaluation.model_copy(update={"repetitions": repetitions})
    classes = int(max(int(labels.max()) for _, _, labels in known)) + 1

    def outcomes(strengths: tuple[float, ...]) -> Any:
        case = AttackSetting(f"{on}-validation", "strict", spec.access, spec.strength, strengths, evaluation, classes)
        found = []
        for number, (network, images, labels) in enumerate(known):
            # Of an ensemble of other networks than the task's, as many models of the task's network take the place.
            others = [known[(number + 1 + place) % models][0] for place in range(max(1, len(spec.sources)))]
            source = ensemble(others) if spec.access == "transfer" else None
            found.append(evaluate(network, source, attack, images, labels, case, device="cpu"))
        return pd.concat(found)

    entries = known[0][1][0].numel()
    largest = LARGEST.get(spec.strength, math.sqrt(entries))
    if isinstance(attack, FixedStrengthAttack):
        judged = outcomes((0.0,))

        def curve(strengths: NDArray[np.float64]) -> NDArray[np.float64]:
            distinct, places = np.unique(strengths, return_inverse=True)
            return outcomes(tuple(distinct)).groupby("strength")["correct"].mean().to_numpy(float)[places]
    else:
        judged = outcomes((0.0,))
        distance = judged["l2"].where(judged["label"] == judged["clean_prediction"], -1.0).to_numpy(float)

        def curve(strengths: NDArray[np.float64]) -> NDArray[np.float64]:
            return (distance[:, None] > strengths).mean(axis=0)

    found = find_range(curve, 1 / classes, largest)
    low, high = rounded(found, largest)
    clean = float((judged["label"] == judged["clean_prediction"]).mean())
    row = {"task": on, "size": size, "attack": name, "access": spec.access, "strength_kind": spec.strength}
    row |= {"models": models, "judged": len(judged), "clean_accuracy": round(clean, 4)}
    return row | {"begins": round(found.low, 5), "ends": round(found.high, 5), "from": low, "to": high}


def published() -> list[dict[str, Any]]:
    """Return the rows of the published curves of unregularized models."""
    from robustbench_pix.results.published_curves import read_curves

    curves = read_curves()
    rows = []
    for (task, attack), points in curves[curves["recipe"] == "unregularized"].groupby(["task", "attack"]):
        strengths, accuracy = points["strength"].to_numpy(), points["accuracy"].to_numpy()
        chance = 1 / (100 if task == "cifar100" else 10)
        low, high = (crossing(strengths, accuracy, level) for level in levels(float(accuracy[0]), chance))
        row = {"task": task, "size": "published", "attack": attack, "models": 7, "clean_accuracy": accuracy[0]}
        access, kind = {"gaussian": ("none", "sigma"), "transfer-fgsm": ("transfer", "linf")}[str(attack)]
        row |= {"access": access, "strength_kind": kind}
        row |= {"begins": round(low, 5), "ends": round(high, 5), "from": strengths[strengths <= low].max()}
        rows.append(row | {"to": strengths[strengths >= high].min() if high <= strengths[-1] else strengths[-1]})
    return rows


TASKS = ("digits", "mnist", "fashionmnist", "cifar10", "cifar100")


def catalogue_table() -> str:
    """Return the ranges of the attacks of all suites in Markdown: a line for attacks of the same ranges and suites."""
    from robustbench_pix.catalogue.workspace import Workspace

    workspace = Workspace(Path(__file__).parent)
    suites = {name: workspace.suite(name).attacks for name in workspace.names("attacks/suites")}
    lines: dict[tuple[str, ...], list[str]] = {}
    for name in workspace.names("attacks"):
        spec, used = workspace.attack(name), [suite for suite, attacks in suites.items() if name in attacks]
        if used:
            ranges = (_shown(spec.strengths_for(task), spec.range_from(task)) for task in TASKS)
            lines.setdefault((", ".join(used), spec.strength, *ranges), []).append(f"`{name}`")
    head = ["attack", "suites", "strength", *TASKS]
    body = [[", ".join(names), *cells] for cells, names in sorted(lines.items(), key=lambda line: line[1])]
    return "".join(f"| {' | '.join(cells)} |\n" for cells in [head, ["---"] * len(head), *body])


def _shown(strengths: tuple[float, ...], start: float) -> str:
    inside = [strength for strength in strengths if strength >= start]
    return f"{start:.3g} to {inside[-1]:.3g} ({len(inside)})" if inside else "distance only"


def main() -> None:
    """Find ranges, print the table, and put its rows in the place of those of the same task and attack in the file."""
    import pandas as pd

    from robustbench_pix.catalogue.workspace import Workspace

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--on", default="digits")
    parser.add_argument("--size", default="full")
    parser.add_argument("--suites", default="blackbox,noise")
    parser.add_argument("--attacks", default="", help=f"Further entries; {DIRECT} is the smallest distance in l2.")
    parser.add_argument("--models", type=int, default=3)
    parser.add_argument("--repetitions", type=int, default=4, help="Of noise, on each image.")
    parser.add_argument("--data-root", default=".data")
    parser.add_argument("--weights", help="A folder that keeps the models.")
    parser.add_argument("--published", action="store_true")
    parser.add_argument("--table", action="store_true")
    parser.add_argument("--workers", type=int, default=2, help="1: in this process.")
    chosen = parser.parse_args()
    if chosen.table:
        print(catalogue_table(), end="")
        return
    workspace = Workspace(Path.cwd())
    suites = [name for name in chosen.suites.split(",") if name]
    wanted = [attack for suite in suites for attack in workspace.suite(suite).attacks]
    wanted = list(dict.fromkeys([*wanted, *filter(None, chosen.attacks.split(","))]))
    rows = published() if chosen.published else _measured(chosen, wanted)
    table = pd.DataFrame(rows)
    if FILE.exists():
        table = pd.concat([pd.read_csv(FILE), table]).drop_duplicates(["task", "size", "attack"], keep="last")
    table.sort_values(["task", "access", "attack", "size"]).to_csv(FILE, index=False, lineterminator="\n")


def _measured(chosen: argparse.Namespace, wanted: list[str]) -> list[dict[str, Any]]:
    keep = partial(trained, chosen.on, chosen.size, root=chosen.data_root, folder=chosen.weights)
    shared = {"models": chosen.models, "root": chosen.data_root, "folder": chosen.weights}
    make = partial(find, chosen.on, chosen.size, repetitions=chosen.repetitions, **shared)
    rows: list[dict[str, Any]] = []
    with ExitStack() as stack:
        apart = chosen.workers > 1
        pool = ProcessPoolExecutor(chosen.workers, mp_context=get_context("spawn")) if apart else None
        each: Any = stack.enter_context(pool).map if pool else map
        if chosen.weights:
            list(each(partial(_discard, keep), range(chosen.models)))
        for row in each(make, wanted):
            rows.append(row)
            print(row, flush=True)
    return rows


def _discard(make: Callable[[int], object], number: int) -> None:
    make(number)


if __name__ == "__main__":
    main()

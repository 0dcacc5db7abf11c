"""The same attack by three engines: ours through the whole harness, and each library called as its manual says."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from benchmarks.timing import now
from benchmarks.victims import Victim
from benchmarks.workload import CLASSES
from robustbench_pix.attacks.building import build_attack
from robustbench_pix.attacks.decision.starting_points import find_starts
from robustbench_pix.attacks.querying.oracle import Oracle
from robustbench_pix.catalogue.specs import AttackSpec, EvaluationSpec
from robustbench_pix.devices import arithmetic
from robustbench_pix.evaluation.batch import AttackSetting
from robustbench_pix.evaluation.evaluate import evaluate
from robustbench_pix.randomness import ImageKey

TASK = "benchmark"


class Outcome(NamedTuple):
    """How long it took, how many images the model was asked about, and what came out.

    ``distance``: the median L2 of the images that fooled it, NaN where none did; ``fooled``: their share.
    """

    seconds: float
    queries: int
    distance: float
    fooled: float


Way = Callable[[Victim, dict[str, Any]], Outcome]


class Counting(nn.Module):
    """A model that counts the images it was asked about."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network, self.asked = network, 0

    def forward(self, images: Tensor) -> Tensor:
        """Return the logits; ART gives some images in float64, which numpy 2 makes of them."""
        self.asked += len(images)
        return self.network(images.float())


def ours(name: str, access: str, strength: str, strengths: tuple[float, ...]) -> Way:
    """Return our attack of a name as a run does it: starting points, query log, judgement and table included."""

    def run(victim: Victim, parameters: dict[str, Any]) -> Outcome:
        spec = AttackSpec(
            name=name, path=Path(), summary="", attack=name, access=access, strength=strength, parameters=parameters
        )
        case = AttackSetting(TASK, "strict", access, strength, strengths, EvaluationSpec(), CLASSES)
        begun = now(victim.device)
        rows = evaluate(
            victim.asked, None, build_attack(spec), victim.images, victim.labels, case, device=victim.device
        )
        seconds = (now(victim.device) - begun).spent_on(victim.device)
        last = rows[rows["strength"].isna() | (rows["strength"] == max(strengths, default=0.0))]
        fooled = last["prediction"] != last["label"]
        distance = float(last["l2"][fooled].median())
        return Outcome(seconds, int(rows["queries"].sum()), distance, float(fooled.mean()))

    return run


def foolbox_attack(name: str, *, one_by_one: bool) -> Way:
    """Return foolbox's attack of a name, on all images at once or on one after the other."""

    def run(victim: Victim, parameters: dict[str, Any]) -> Outcome:
        import foolbox

        model = Counting(victim.network).eval()
        wrapped = foolbox.PyTorchModel(model, bounds=(0, 1), device=victim.images.device)
        attack = getattr(foolbox.attacks, name)(**parameters)
        size, parts = 1 if one_by_one else len(victim.images), (victim.images, victim.labels, starts_of(victim))
        begun = now(victim.device)
        found = [
            attack(wrapped, one, foolbox.criteria.Misclassification(label), epsilons=None, starting_points=start)[0]
            for one, label, start in zip(*(whole.split(size) for whole in parts), strict=True)
        ]
        seconds = (now(victim.device) - begun).spent_on(victim.device)
        return _outcome(victim, torch.cat(found), seconds, model.asked)

    return run


def art_attack(name: str, *, one_by_one: bool, needs_start: bool = True) -> Way:
    """Return the Adversarial Robustness Toolbox's attack of a name, on all images at once or one after the other."""

    def run(victim: Victim, parameters: dict[str, Any]) -> Outcome:
        import art.attacks.evasion
        from art.estimators.classification import PyTorchClassifier

        model = Counting(victim.network).eval()
        classifier = PyTorchClassifier(
            model=model,
            loss=nn.CrossEntropyLoss(),
            input_shape=tuple(victim.images.shape[1:]),
            nb_classes=CLASSES,
            clip_values=(0.0, 1.0),
            device_type="gpu" if victim.images.is_cuda else "cpu",
        )
        attack = getattr(art.attacks.evasion, name)(classifier, verbose=False, **parameters)
        labels = np.eye(CLASSES, dtype=np.float32)[victim.labels.cpu().numpy()]
        images = victim.images.cpu().numpy()
        starts = starts_of(victim).cpu().numpy() if needs_start else None
        size = 1 if one_by_one else len(images)
        begun = now(victim.device)
        found = [
            attack.generate(
                images[first : first + size],
                y=labels[first : first + size],
                **({} if starts is None else {"x_adv_init": starts[first : first + size]}),
            )
            for first in range(0, len(images), size)
        ]
        seconds = (now(victim.device) - begun).spent_on(victim.device)
        return _outcome(victim, torch.from_numpy(np.concatenate(found)).to(victim.images), seconds, model.asked)

    return run


def starts_of(victim: Victim) -> Tensor:
    """Return the starting points from which ours walks, for the libraries to walk from too, at no cost to them.

    Left to itself foolbox asks about all images of a batch until each has a start, and the toolbox gives some up.
    """
    keys = [ImageKey(TASK, image, 0, EvaluationSpec().seed) for image in range(len(victim.images))]
    oracle = Oracle(victim.network, "decisions", None)
    known = victim.images, victim.labels
    return find_starts(oracle, *known, keys, *known, directions=EvaluationSpec().start_directions)[0]


@torch.no_grad()
def _outcome(victim: Victim, found: Tensor, seconds: float, queries: int) -> Outcome:
    with arithmetic("float32"):
        fooled = victim.network(found.float()).argmax(dim=1) != victim.labels
    distance = (found - victim.images).flatten(1).norm(dim=1)[fooled].median()
    return Outcome(seconds, queries, float(distance), float(fooled.float().mean()))

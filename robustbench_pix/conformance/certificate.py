"""The certificate of an attack: each property passes, is a known violation, fails, or does not apply."""

import inspect
from collections.abc import Callable
from typing import Literal, NamedTuple

import torch

from robustbench_pix.attacks.building import build_attack
from robustbench_pix.attacks.common.norms import reach
from robustbench_pix.attacks.libraries.classes import KNOWN_VIOLATIONS, engine_of
from robustbench_pix.attacks.libraries.signatures import engine_class
from robustbench_pix.catalogue.registries import attacks
from robustbench_pix.catalogue.specs import AttackSpec
from robustbench_pix.conformance.trial import (
    IMAGES,
    NO_STRENGTH,
    Build,
    ConstantClassifier,
    IslandClassifier,
    Outcome,
    QuadraticClassifier,
    Trial,
)
from robustbench_pix.errors import UserError

BUDGET = 15
ROUNDING = 1e-4
BOUNDS = 1e-6

DOES_NOT_APPLY = "-"

Broken = str | None


def repeats(trial: Trial, first: Outcome) -> Broken:
    """Repeated runs give the same bytes."""
    again = trial.run()
    same = first.raw.keys() == again.raw.keys() and all(
        torch.allclose(first.raw[place], again.raw[place], rtol=0, atol=0, equal_nan=True) for place in first.raw
    )
    return None if same else "it is not deterministic"


def batch(trial: Trial, first: Outcome) -> Broken:
    """An image is perturbed alone, and in another order, as in its batch."""
    for numbers in ([IMAGES - 1], list(reversed(range(IMAGES)))):
        other = trial.run(numbers)
        for place, made in other.raw.items():
            here = first.raw.get(place)
            if here is None or not torch.allclose(here, made, atol=ROUNDING, equal_nan=True):
                return "alone or in another order an image is perturbed differently"
    return None


def bounds(trial: Trial, first: Outcome) -> Broken:
    """The unclipped result is finite, in [0, 1] and in its l1, l2 or linf ball."""
    images = trial.images()
    order = {"l1": 1, "l2": 2, "linf": torch.inf}.get(trial.spec.strength)
    for (number, strength), made in first.raw.items():
        if not made.isfinite().all():
            return "its result is not finite"
        if made.min() < -BOUNDS or made.max() > 1 + BOUNDS:
            return f"it leaves [0, 1] by {max(-made.min().item(), made.max().item() - 1):.2g}"
        length = 0.0 if order is None else torch.linalg.vector_norm((made - images[number]).flatten(), ord=order).item()
        if strength != NO_STRENGTH and length > reach(strength):
            return f"its perturbation has {trial.spec.strength} norm {length:.4g}, above the radius {strength:g}"
    return None


def budget(trial: Trial, first: Outcome) -> Broken:
    """It ends with a small budget, and no more queries are answered."""
    if not trial.queries_model:
        return DOES_NOT_APPLY
    answered = trial.run(budget=BUDGET).columns["queries"].max().item()
    return None if answered <= BUDGET else f"{answered} queries were answered within a budget of {BUDGET}"


def model(trial: Trial, first: Outcome) -> Broken:
    """Weights, BatchNorm statistics, mode and frozen parameters are unchanged."""
    for network in (first.network, first.source):
        if network is None:
            continue
        fresh = QuadraticClassifier(trial.channels, seed=0).state_dict()
        changed = [name for name, value in network.state_dict().items() if not torch.equal(value, fresh[name])]
        if changed:
            return f"it changed {changed[0]}"
        if any(module.training for module in network.modules()):
            return "it left the model in training mode"
        if any(parameter.requires_grad or parameter.grad is not None for parameter in network.parameters()):
            return "it left gradients at the parameters"
    return None


def labels(trial: Trial, first: Outcome) -> Broken:
    """The label is attacked, not the decision: a misclassified image does not become correct."""
    source, wrong = QuadraticClassifier(trial.channels, seed=0).eval(), range(1, IMAGES)
    with torch.no_grad():
        first_choice, second_choice = source(trial.images()).topk(2).indices.unbind(dim=1)
    given = torch.cat([first_choice[:1], second_choice[1:]])
    outcome = trial.run(labels=given)
    if any(any(outcome.column("correct", number)) for number in wrong):
        return "a misclassified image was counted as correct"
    if trial.queries_model:
        queried = any(any(outcome.column("queries", number)) for number in wrong)
        return "a misclassified image was queried" if queried else None
    if trial.spec.access == "transfer":
        with torch.no_grad():
            turned = [
                bool(source(made[None]).argmax() == given[number])
                for (number, _), made in outcome.raw.items()
                if number in wrong
            ]
        return "it attacks the decision: a misclassified image became correct" if any(turned) else None
    return None


def alone(trial: Trial, first: Outcome) -> Broken:
    """An image on which the model is hard to fool does not make the attack fail on others."""
    if trial.spec.access == "none":
        return DOES_NOT_APPLY

    def island() -> IslandClassifier:
        return IslandClassifier(trial.images()[0])

    source = island if trial.spec.access == "transfer" else lambda: None
    by_itself = trial.run([0], network=island(), source=source()).column("failed", 0)
    together = trial.run(network=island(), source=source()).column("failed", 0)
    return "beside an image that cannot be fooled it fails on another" if together > by_itself else None


def zero(trial: Trial, first: Outcome) -> Broken:
    """At strength 0 the images are returned bit for bit."""
    if NO_STRENGTH in {strength for _, strength in first.raw}:
        return DOES_NOT_APPLY
    images = trial.images()
    moved = [number for (number, at), made in first.raw.items() if at == 0 and not torch.equal(made, images[number])]
    return "at strength 0 it changes images" if moved else None


def states(trial: Trial, first: Outcome) -> Broken:
    """The global random states are unchanged."""
    return "it draws from a global random state" if first.drew else None


def ends(trial: Trial, first: Outcome) -> Broken:
    """On a constant classifier it ends, and every image stays correct."""
    outcome = trial.run(
        network=ConstantClassifier(), source=ConstantClassifier() if trial.spec.access == "transfer" else None
    )
    return None if outcome.columns["correct"].all() else "it reports success on a constant classifier"


def files(trial: Trial, first: Outcome) -> Broken:
    """Nothing is written into the current folder."""
    return f"it writes files ({first.wrote[0]})" if first.wrote else None


def inputs(trial: Trial, first: Outcome) -> Broken:
    """Its input tensors are unchanged."""
    return "it changes its input images or labels" if first.changed_inputs else None


PROPERTIES: dict[str, Callable[[Trial, Outcome], Broken]] = {
    one.__name__: one
    for one in (repeats, batch, bounds, budget, model, labels, alone, zero, states, ends, files, inputs)
}


MOST = {"steps": 12, "max_iter": 5, "restarts": 2, "queries": 200, "query_limit": 200, "max_queries": 200}
"""Upper limits of parameters that make an attack long; everything else is as its entry states."""

State = Literal["passes", "-", "known", "FAILS"]


class Finding(NamedTuple):
    """The result for one property; ``details`` describes the violation."""

    property: str
    state: State
    details: str


def certify(spec: AttackSpec, build: Build = build_attack) -> list[Finding]:
    """Check every property of an entry, on gray images or, if it cannot attack these, on colour images."""
    short = shortened(spec)
    try:
        trial, first = _first(short, build)
    except Exception as error:
        return [Finding(name, "FAILS", f"it raised {_said(error)}") for name in PROPERTIES]
    known = dict(KNOWN_VIOLATIONS.get(spec.attack, {}))
    if build(short).batch_dependent:
        known["batch"] = "depends on batch"
    return [_finding(name, trial, first, known.get(name)) for name in PROPERTIES]


def shortened(spec: AttackSpec) -> AttackSpec:
    """Return an entry with fewer steps, images and repetitions."""
    engine = engine_of(spec.attack)
    target = engine_class(spec.attack) if engine else attacks.load(spec.attack, spec.folder)
    defaults = {name: one.default for name, one in inspect.signature(target).parameters.items()}
    stated = defaults | spec.parameters
    fewer = {
        name: most
        for name, most in MOST.items()
        if isinstance(stated.get(name), int) and not isinstance(stated[name], bool) and stated[name] > most
    }
    return spec.model_copy(update={"parameters": spec.parameters | fewer})


def _first(spec: AttackSpec, build: Build) -> tuple[Trial, Outcome]:
    gray = Trial(spec, build)
    try:
        return gray, gray.run()
    except UserError:
        colour = Trial(spec, build, channels=3)
        return colour, colour.run()


def _finding(name: str, trial: Trial, first: Outcome, known: str | None) -> Finding:
    try:
        broken = PROPERTIES[name](trial, first)
    except Exception as error:
        broken = f"it raised {_said(error)}"
    if broken is None or broken == DOES_NOT_APPLY:
        return Finding(name, "-" if broken else "passes", "")
    return Finding(name, "known", known) if known else Finding(name, "FAILS", broken)


def _said(error: Exception) -> str:
    return f"{type(error).__name__}: {error}".splitlines()[0]

"""The certificate of an attack: each property passes, is a known violation, fails, or does not apply."""

import inspect
from typing import Literal, NamedTuple

from robustbench_pix.attacks.building import build_attack
from robustbench_pix.attacks.libraries.known_issues import KNOWN_VIOLATIONS, engine_of
from robustbench_pix.attacks.libraries.signatures import engine_class
from robustbench_pix.catalogue.registries import attacks
from robustbench_pix.catalogue.specs import AttackSpec
from robustbench_pix.conformance.properties import DOES_NOT_APPLY, PROPERTIES
from robustbench_pix.conformance.trial import Build, Outcome, Trial
from robustbench_pix.errors import UserError

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

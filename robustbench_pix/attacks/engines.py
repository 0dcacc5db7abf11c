"""What is known of the attack libraries: how an entry names one, and the defects that were measured in them."""

from typing import NamedTuple

ENGINES = {"foolbox": "foolbox", "art": "adversarial-robustness-toolbox"}
"""Prefix of a reference such as ``foolbox:BoundaryAttack`` -> name of the distribution."""


class Defect(NamedTuple):
    """A known defect: ``fatal`` ones are refused, the others are flagged in every row."""

    reason: str
    fatal: bool


KNOWN_DEFECTS = {
    "foolbox:HopSkipJumpAttack": Defect(
        "normalizes its gradient over the whole batch: weaker as evaluation.batch_size grows", False
    ),
    "foolbox:LinfAdditiveUniformNoiseAttack": Defect(
        "scales by the largest entry without its sign, and is clipped back", False
    ),
    "foolbox:PointwiseAttack": Defect("draws pixel orders from numpy for the whole batch", False),
    "foolbox:DatasetAttack": Defect("must be fed a data set by code, which a catalogue entry cannot do", True),
    "foolbox:GenAttack": Defect("is targeted only, and this harness measures untargeted attacks", True),
    "foolbox:L0FMNAttack": Defect("calls a method that torch tensors do not have", True),
    "foolbox:VirtualAdversarialAttack": Defect("takes no labels, so the clean images decide", False),
    "art:GeoDA": Defect(
        "uses numpy.mat, which numpy 2 removed, writes files into the current folder and may never end", True
    ),
    "art:AutoAttack": Defect("needs the undeclared package multiprocess, and mixes attacks of different access", True),
    "art:SaliencyMapMethod": Defect("is targeted only, and this harness measures untargeted attacks", True),
    "art:TargetedUniversalPerturbation": Defect("is targeted only, and this harness measures untargeted attacks", True),
    "art:SquareAttack": Defect(
        "spends three queries a step and never places a square at the last row or column", False
    ),
    "art:ZooAttack": Defect("changes nothing on small images by default (raise max_iter)", False),
}
KNOWN_DEFECTS |= {
    f"foolbox:L2{kind}Additive{shape}NoiseAttack": Defect(
        "its noise has a fixed L2 norm, so it is not noise of a given sigma or width", False
    )
    for kind in ("", "ClippingAware", "Repeated", "ClippingAwareRepeated")
    for shape in ("Gaussian", "Uniform")
}


def reason(error: Exception) -> str:
    """Return an engine's reason for an error, for the middle of a sentence; some give none but the error's type.

    >>> reason(ValueError("directions must be larger than 0.")), reason(NotImplementedError())
    ('directions must be larger than 0', 'NotImplementedError')
    """
    return str(error).rstrip(".") or type(error).__name__


def engine_of(reference: str) -> str | None:
    """Return ``foolbox`` or ``art`` for a reference such as ``art:SquareAttack``, else None.

    >>> engine_of("art:SquareAttack"), engine_of("gaussian-noise")
    ('art', None)
    """
    engine = reference.partition(":")[0]
    return engine if engine in ENGINES and ":" in reference else None

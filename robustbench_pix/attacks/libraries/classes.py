"""Every evasion class of foolbox and of the Adversarial Robustness Toolbox: its access, its norm and its known issues.

From the sources of foolbox 3.3.4 and of the toolbox 1.20.1; tests run each class with this access and with less.
"""

from importlib.util import find_spec
from typing import NamedTuple

from robustbench_pix.attacks.requirements import MEASURED, Needs, bounds, minimizes

_GRADIENT_KINDS = (
    *("ProjectedGradientDescentAttack", "PGD", "AdamProjectedGradientDescentAttack", "AdamPGD"),
    *("BasicIterativeAttack", "AdamBasicIterativeAttack", "MomentumIterativeFastGradientMethod", "FastGradientAttack"),
)
_DECISION_NOISES = (
    *("InversionAttack", "BinarySearchContrastReductionAttack", "LinearSearchContrastReductionAttack"),
    *("LinearSearchBlendedUniformNoiseAttack", "GaussianBlurAttack"),
)
_ART_GRADIENT_KINDS = (
    *("FastGradientMethod", "ProjectedGradientDescent", "ProjectedGradientDescentNumpy"),
    *("ProjectedGradientDescentPyTorch", "MomentumIterativeMethod", "AutoProjectedGradientDescent"),
    *("AutoConjugateGradient", "RescalingAutoConjugateGradient"),
)
_NOISES = ("AdditiveGaussianNoiseAttack", "AdditiveUniformNoiseAttack")

FOOLBOX = {
    **{
        f"{norm.capitalize()}{kind}": bounds("gradients", norm)
        for norm in ("l1", "l2", "linf")
        for kind in _GRADIENT_KINDS
    },
    **{name: bounds("gradients", "linf") for name in ("PGD", "AdamPGD", "FGSM", "MIFGSM")},
    "FGM": bounds("gradients", "l2"),
    "SparseL1DescentAttack": bounds("gradients", "l1"),
    **{f"L2{aware}{kind}": bounds("none", "l2") for aware in ("", "ClippingAware") for kind in _NOISES},
    **{f"L2{aware}Repeated{kind}": bounds("decisions", "l2") for aware in ("", "ClippingAware") for kind in _NOISES},
    "LinfAdditiveUniformNoiseAttack": bounds("none", "linf"),
    "LinfRepeatedAdditiveUniformNoiseAttack": bounds("decisions", "linf"),
    "L2ContrastReductionAttack": bounds("none", "l2"),
    "VirtualAdversarialAttack": bounds("gradients", "l2"),
    "DDNAttack": minimizes("gradients", "l2"),
    "L1FMNAttack": minimizes("gradients", "l1"),
    "L2FMNAttack": minimizes("gradients", "l2"),
    "LInfFMNAttack": minimizes("gradients", "linf"),
    "L2CarliniWagnerAttack": minimizes("gradients", "l2"),
    "EADAttack": minimizes("gradients", "l1"),
    "L2DeepFoolAttack": minimizes("gradients", "l2"),
    "LinfDeepFoolAttack": minimizes("gradients", "linf"),
    "NewtonFoolAttack": minimizes("gradients", "l2"),
    "L0BrendelBethgeAttack": minimizes("gradients", "l0"),
    "L1BrendelBethgeAttack": minimizes("gradients", "l1"),
    "L2BrendelBethgeAttack": minimizes("gradients", "l2"),
    "LinfinityBrendelBethgeAttack": minimizes("gradients", "linf"),
    "BoundaryAttack": minimizes("decisions", "l2"),
    "HopSkipJumpAttack": minimizes("decisions", "any"),
    "PointwiseAttack": minimizes("decisions", "l0"),
    "SaltAndPepperNoiseAttack": minimizes("decisions", "l2"),
    "SpatialAttack": minimizes("decisions", "none"),
    **{name: minimizes("decisions", "none") for name in _DECISION_NOISES},
}

ART = {
    **{name: bounds("gradients", "l1", "l2", "linf") for name in _ART_GRADIENT_KINDS},
    "BasicIterativeMethod": bounds("gradients", "linf"),
    "UniversalPerturbation": bounds("gradients", "l2", "linf"),
    "VirtualAdversarialMethod": bounds("scores", "l2"),
    "Wasserstein": Needs("gradients", "none", ("wasserstein",)),
    "SquareAttack": bounds("scores", "l2", "linf"),
    "BoundaryAttack": minimizes("decisions", "l2"),
    "BrendelBethgeAttack": minimizes("gradients", "any"),
    "HopSkipJump": minimizes("decisions", "any"),
    "SignOPTAttack": minimizes("decisions", "l2"),
    "SpatialTransformation": minimizes("decisions", "none"),
    "SimBA": minimizes("scores", "l2"),
    "ZooAttack": minimizes("scores", "l2"),
    "PixelAttack": minimizes("scores", "l0"),
    "ThresholdAttack": minimizes("scores", "linf"),
    "CarliniL0Method": minimizes("gradients", "l0"),
    "CarliniL2Method": minimizes("gradients", "l2"),
    "CarliniLInfMethod": minimizes("gradients", "linf"),
    "DeepFool": minimizes("gradients", "l2"),
    "ElasticNet": minimizes("gradients", "l1"),
    "NewtonFool": minimizes("gradients", "l2"),
    "ShadowAttack": minimizes("gradients", "none"),
    "CompositeAdversarialAttackPyTorch": minimizes("gradients", "none"),
}

CLASSES = {
    **{f"foolbox:{name}": needs for name, needs in FOOLBOX.items()},
    **{f"art:{name}": needs for name, needs in ART.items()},
}
"""Reference in a catalogue entry -> its needs; other classes do not attack images, or are refused."""


ENGINES = {"foolbox": "foolbox", "art": "adversarial-robustness-toolbox"}
"""Prefix of a reference such as ``foolbox:BoundaryAttack`` -> name of the distribution."""


class Defect(NamedTuple):
    """A known defect: ``fatal`` ones are refused, the others are flagged in every row."""

    reason: str
    fatal: bool


_TARGETED = "is targeted only, and this harness measures untargeted attacks"
_REFUSED = {
    "foolbox:BinarizationRefinementAttack": "only refines what another attack found on binary images",
    "foolbox:DatasetAttack": "must be fed a data set by code, which a catalogue entry cannot do",
    "foolbox:GenAttack": _TARGETED,
    "foolbox:L0FMNAttack": "calls a method that torch tensors do not have",
    "art:GeoDA": "uses numpy.mat, which numpy 2 removed, writes files into the current folder and may never end",
    "art:AutoAttack": "needs the undeclared package multiprocess, and mixes attacks of different access",
    "art:FeatureAdversariesNumpy": "needs images to imitate, which a catalogue entry cannot give",
    "art:FeatureAdversariesPyTorch": "needs images to imitate, which a catalogue entry cannot give",
    "art:FrameSaliencyAttack": "attacks videos, through an attack that must be given as an object",
    "art:GRAPHITEBlackbox": "needs the image of a target, and this harness measures untargeted attacks",
    "art:GRAPHITEWhiteboxPyTorch": _TARGETED,
    "art:LaserAttack": "takes images with the channels last, and a generator of lasers as an object",
    "art:LowProFool": "attacks tables whose columns have importances, not images",
    "art:MalwareGDTensorFlow": "attacks programs, with TensorFlow",
    "art:OverTheAirFlickeringPyTorch": "attacks videos",
    "art:SaliencyMapMethod": _TARGETED,
    "art:TargetedUniversalPerturbation": _TARGETED,
    **{
        f"art:AdversarialPatch{of}": "returns a patch and not images" for of in ("", "Numpy", "PyTorch", "TensorFlowV2")
    },
    "art:FeatureAdversariesTensorFlowV2": "needs TensorFlow, and models here are torch's",
    "art:ProjectedGradientDescentTensorFlowV2": "needs TensorFlow, and models here are torch's",
}
_FLAGGED = {
    **{
        reference: f"makes the {needs.norm} distance small, so that the distances reported here are larger"
        for reference, needs in CLASSES.items()
        if needs.norm in ("l0", "l1") and needs.strengths == MEASURED
    },
    "foolbox:LinfAdditiveUniformNoiseAttack": "scales by the largest entry without its sign, and is clipped back",
    "foolbox:PointwiseAttack": "draws pixel orders from numpy for the whole batch",
    "foolbox:VirtualAdversarialAttack": "takes no labels, so the clean images decide",
    "art:SquareAttack": "spends three queries a step and never places a square at the last row or column",
    "art:ZooAttack": "changes nothing on small images by default (raise max_iter)",
    **{
        f"foolbox:L2{kind}{noise}": "its noise has a fixed L2 norm, so it is not noise of a given sigma or width"
        for kind in ("", "ClippingAware", "Repeated", "ClippingAwareRepeated")
        for noise in _NOISES
    },
}
KNOWN_DEFECTS = {
    **{reference: Defect(reason, fatal=False) for reference, reason in _FLAGGED.items()},
    **{reference: Defect(reason, fatal=True) for reference, reason in _REFUSED.items()},
}

UNDECLARED = {
    **{f"foolbox:{norm}BrendelBethgeAttack": "numba" for norm in ("L0", "L1", "L2", "Linfinity")},
    "art:BrendelBethgeAttack": "numba",
    "art:CompositeAdversarialAttackPyTorch": "kornia",
    "art:ThresholdAttack": "cma",
}
"""Class -> package that it needs and its library does not declare."""

KNOWN_VIOLATIONS: dict[str, dict[str, str]] = {}
"""Reference -> property of ``rbp doctor --attacks`` -> known reason for its violation, if it affects no number."""


def reason(error: Exception) -> str:
    """Return a library's message of an error for the middle of a sentence, or the error's type where it is empty.

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


def refused(reference: str) -> str | None:
    """Return the reason why no entry may name a class of a library, to follow its name in a sentence, or None.

    >>> refused("foolbox:GenAttack"), refused("art:DeepFool")
    ('is targeted only, and this harness measures untargeted attacks', None)
    """
    defect = KNOWN_DEFECTS.get(reference)
    if defect is not None and defect.fatal:
        return defect.reason
    if reference not in CLASSES:
        return "does not attack classifiers of images"
    package = UNDECLARED.get(reference)
    if package and find_spec(package) is None:
        return f"needs the package {package}, which its library does not declare; pip install {package}"
    return None

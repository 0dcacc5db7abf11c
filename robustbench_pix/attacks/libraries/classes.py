"""The access and norm of every evasion class of foolbox and of the Adversarial Robustness Toolbox.

From the sources of foolbox 3.3.4 and of the toolbox 1.20.1; tests run each class with this access and with less."""

from importlib.util import find_spec
from typing import NamedTuple

from robustbench_pix.attacks.requirements import MEASURED, Needs, bounds, minimizes

_GRADIENT_KINDS = (
    "ProjectedGradientDescentAttack",
    "PGD",
    "AdamProjectedGradientDescentAttack",
    "AdamPGD",
    "BasicIterativeAttack",
    "AdamBasicIterativeAttack",
    "MomentumIterativeFastGradientMethod",
    "FastGradientAttack",
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
    **{
        name: minimizes("decisions", "none")
        for name in (
            "InversionAttack",
            "BinarySearchContrastReductionAttack",
            "LinearSearchContrastReductionAttack",
            "LinearSearchBlendedUniformNoiseAttack",
            "GaussianBlurAttack",
        )
    },
}

ART = {
    **{
        name: bounds("gradients", "l1", "l2", "linf")
        for name in (
            "FastGradientMethod",
            "ProjectedGradientDescent",
            "ProjectedGradientDescentNumpy",
            "ProjectedGradientDescentPyTorch",
            "MomentumIterativeMethod",
            "AutoProjectedGradientDescent",
            "AutoConjugateGradient",
            "RescalingAutoConjugateGradient",
        )
    },
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


KNOWN_DEFECTS = {
    "foolbox:LinfAdditiveUniformNoiseAttack": Defect(
        "scales by the largest entry without its sign, and is clipped back", False
    ),
    "foolbox:PointwiseAttack": Defect("draws pixel orders from numpy for the whole batch", False),
    "foolbox:BinarizationRefinementAttack": Defect("only refines what another attack found on binary images", True),
    "foolbox:DatasetAttack": Defect("must be fed a data set by code, which a catalogue entry cannot do", True),
    "foolbox:GenAttack": Defect("is targeted only, and this harness measures untargeted attacks", True),
    "foolbox:L0FMNAttack": Defect("calls a method that torch tensors do not have", True),
    "foolbox:VirtualAdversarialAttack": Defect("takes no labels, so the clean images decide", False),
    "art:GeoDA": Defect(
        "uses numpy.mat, which numpy 2 removed, writes files into the current folder and may never end", True
    ),
    "art:AutoAttack": Defect("needs the undeclared package multiprocess, and mixes attacks of different access", True),
    "art:FeatureAdversariesNumpy": Defect("needs images to imitate, which a catalogue entry cannot give", True),
    "art:FeatureAdversariesPyTorch": Defect("needs images to imitate, which a catalogue entry cannot give", True),
    "art:FrameSaliencyAttack": Defect("attacks videos, through an attack that must be given as an object", True),
    "art:GRAPHITEBlackbox": Defect("needs the image of a target, and this harness measures untargeted attacks", True),
    "art:GRAPHITEWhiteboxPyTorch": Defect("is targeted only, and this harness measures untargeted attacks", True),
    "art:LaserAttack": Defect("takes images with the channels last, and a generator of lasers as an object", True),
    "art:LowProFool": Defect("attacks tables whose columns have importances, not images", True),
    "art:MalwareGDTensorFlow": Defect("attacks programs, with TensorFlow", True),
    "art:OverTheAirFlickeringPyTorch": Defect("attacks videos", True),
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
KNOWN_DEFECTS |= {
    f"art:{name}": Defect("is targeted only, and this harness measures untargeted attacks", True)
    for name in ("SaliencyMapMethod", "TargetedUniversalPerturbation")
}
KNOWN_DEFECTS |= {
    f"art:AdversarialPatch{framework}": Defect("returns a patch and not images", True)
    for framework in ("", "Numpy", "PyTorch", "TensorFlowV2")
}
KNOWN_DEFECTS |= {
    f"art:{name}TensorFlowV2": Defect("needs TensorFlow, and models here are torch's", True)
    for name in ("FeatureAdversaries", "ProjectedGradientDescent")
}
KNOWN_DEFECTS |= {
    reference: Defect(f"makes the {needs.norm} distance small, so that the distances reported here are larger", False)
    for reference, needs in CLASSES.items()
    if needs.norm in ("l0", "l1") and needs.strengths == MEASURED and reference not in KNOWN_DEFECTS
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

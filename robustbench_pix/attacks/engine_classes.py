"""What every evasion class of foolbox and of the Adversarial Robustness Toolbox needs to see, and what it makes small.

Read in the sources of foolbox 3.3.4 and of the toolbox 1.20.1; tests run each class with this access and with less.
"""

from typing import NamedTuple

ACCESSES = ("none", "decisions", "scores", "gradients")
"""From the least to the most; ``transfer`` shows the gradients of a source model."""

MEASURED = ("l2", "linf")
"""The strengths of a search for the smallest perturbation: distances that the harness measures."""


class Needs(NamedTuple):
    """The access that a class needs, the norm it bounds or minimizes, and the strengths that an entry may state.

    ``norm`` is l0, l1, l2, linf, ``any`` where the class is told which, or ``none``.
    """

    access: str
    norm: str
    strengths: tuple[str, ...]

    def lacks(self, access: str) -> bool:
        """Return whether an access shows less than the class needs."""
        shown = "gradients" if access == "transfer" else access
        return ACCESSES.index(shown) < ACCESSES.index(self.access)


def _bounds(access: str, *norms: str) -> Needs:
    return Needs(access, norms[0] if len(norms) == 1 else "any", norms)


def _minimizes(access: str, norm: str) -> Needs:
    return Needs(access, norm, (norm,) if norm in MEASURED else MEASURED)


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
        f"{norm.capitalize()}{kind}": _bounds("gradients", norm)
        for norm in ("l1", "l2", "linf")
        for kind in _GRADIENT_KINDS
    },
    **{name: _bounds("gradients", "linf") for name in ("PGD", "AdamPGD", "FGSM", "MIFGSM")},
    "FGM": _bounds("gradients", "l2"),
    "SparseL1DescentAttack": _bounds("gradients", "l1"),
    **{f"L2{aware}{kind}": _bounds("none", "l2") for aware in ("", "ClippingAware") for kind in _NOISES},
    **{f"L2{aware}Repeated{kind}": _bounds("decisions", "l2") for aware in ("", "ClippingAware") for kind in _NOISES},
    "LinfAdditiveUniformNoiseAttack": _bounds("none", "linf"),
    "LinfRepeatedAdditiveUniformNoiseAttack": _bounds("decisions", "linf"),
    "L2ContrastReductionAttack": _bounds("none", "l2"),
    "VirtualAdversarialAttack": _bounds("gradients", "l2"),
    "DDNAttack": _minimizes("gradients", "l2"),
    "L1FMNAttack": _minimizes("gradients", "l1"),
    "L2FMNAttack": _minimizes("gradients", "l2"),
    "LInfFMNAttack": _minimizes("gradients", "linf"),
    "L2CarliniWagnerAttack": _minimizes("gradients", "l2"),
    "EADAttack": _minimizes("gradients", "l1"),
    "L2DeepFoolAttack": _minimizes("gradients", "l2"),
    "LinfDeepFoolAttack": _minimizes("gradients", "linf"),
    "NewtonFoolAttack": _minimizes("gradients", "l2"),
    "L0BrendelBethgeAttack": _minimizes("gradients", "l0"),
    "L1BrendelBethgeAttack": _minimizes("gradients", "l1"),
    "L2BrendelBethgeAttack": _minimizes("gradients", "l2"),
    "LinfinityBrendelBethgeAttack": _minimizes("gradients", "linf"),
    "BoundaryAttack": _minimizes("decisions", "l2"),
    "HopSkipJumpAttack": _minimizes("decisions", "any"),
    "PointwiseAttack": _minimizes("decisions", "l0"),
    "SaltAndPepperNoiseAttack": _minimizes("decisions", "l2"),
    "SpatialAttack": _minimizes("decisions", "none"),
    **{
        name: _minimizes("decisions", "none")
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
        name: _bounds("gradients", "l1", "l2", "linf")
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
    "BasicIterativeMethod": _bounds("gradients", "linf"),
    "UniversalPerturbation": _bounds("gradients", "l2", "linf"),
    "VirtualAdversarialMethod": _bounds("scores", "l2"),
    "Wasserstein": Needs("gradients", "none", ("wasserstein",)),
    "SquareAttack": _bounds("scores", "l2", "linf"),
    "BoundaryAttack": _minimizes("decisions", "l2"),
    "BrendelBethgeAttack": _minimizes("gradients", "any"),
    "HopSkipJump": _minimizes("decisions", "any"),
    "SignOPTAttack": _minimizes("decisions", "l2"),
    "SpatialTransformation": _minimizes("decisions", "none"),
    "SimBA": _minimizes("scores", "l2"),
    "ZooAttack": _minimizes("scores", "l2"),
    "PixelAttack": _minimizes("scores", "l0"),
    "ThresholdAttack": _minimizes("scores", "linf"),
    "CarliniL0Method": _minimizes("gradients", "l0"),
    "CarliniL2Method": _minimizes("gradients", "l2"),
    "CarliniLInfMethod": _minimizes("gradients", "linf"),
    "DeepFool": _minimizes("gradients", "l2"),
    "ElasticNet": _minimizes("gradients", "l1"),
    "NewtonFool": _minimizes("gradients", "l2"),
    "ShadowAttack": _minimizes("gradients", "none"),
    "CompositeAdversarialAttackPyTorch": _minimizes("gradients", "none"),
}

CLASSES = {
    **{f"foolbox:{name}": needs for name, needs in FOOLBOX.items()},
    **{f"art:{name}": needs for name, needs in ART.items()},
}
"""Reference in a catalogue entry -> its needs; others do not attack images, or are refused."""

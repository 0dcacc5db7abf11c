"""The access and norm of every evasion class of foolbox and of the Adversarial Robustness Toolbox.

From the sources of foolbox 3.3.4 and of the toolbox 1.20.1; tests run each class with this access and with less.
"""

from robustbench_pix.attacks.requirements import Needs, bounds, minimizes

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

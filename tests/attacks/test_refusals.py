"""Entries that cannot be built, whatever the engine, are refused in one sentence."""

import pytest

from robustbench_pix.attacks.building import build_attack
from robustbench_pix.errors import UserError
from tests.attacks.toys import entry

OWN = [
    ("band-noise", {"low": 0.5, "high": 0.5}, "low must be at least 0 and high above it (got 0.5 and 0.5)"),
    ("band-noise", {"low": -0.1, "high": 0.5}, "low must be at least 0 and high above it (got -0.1 and 0.5)"),
    ("boundary", {"steps": 0}, "steps must be a whole number of at least 1 (got 0)"),
    ("boundary", {"steps": 2.5}, "steps must be a whole number of at least 1 (got 2.5)"),
    ("boundary", {"source_step": -1}, "source_step must be a positive number (got -1)"),
    ("boundary", {"step": 5}, "unexpected keyword argument 'step'"),
    ("hop-skip-jump", {"gamma": "wide"}, "gamma must be a positive number (got 'wide')"),
    ("hop-skip-jump", {"initial_gradient_queries": 0}, "at least 1 (got 0)"),
    ("square", {"steps": True}, "steps must be a whole number of at least 1 (got True)"),
    ("square", {"initial_share": 1.5}, "a positive number of at most 1 (got 1.5)"),
    ("geoda", {"rate": 1.5}, "rate must be a positive number of at most 1 (got 1.5)"),
    ("geoda", {"directions": 0}, "directions must be a whole number of at least 1 (got 0)"),
    ("geoda", {"sigma": 0}, "sigma must be a positive number (got 0)"),
    ("pointwise", {"steps": 5}, "takes no arguments"),
    ("simba", {"basis": "wavelet"}, "basis must be pixel or dct (got 'wavelet')"),
    ("simba", {"step": 2}, "step must be a positive number of at most 1 (got 2)"),
    ("natural-evolution", {"directions": 2.5}, "directions must be a whole number of at least 1 (got 2.5)"),
]


@pytest.mark.parametrize(
    ("attack", "parameters", "sentence"),
    [
        ("foolbox:BoundryAttack", {}, "no attack of foolbox named 'BoundryAttack'. Did you mean BoundaryAttack?"),
        ("foolbox:BoundaryAttack", {"step": 5}, "has no parameter 'step'. Did you mean steps? (There are: steps,"),
        (
            "foolbox:BoundaryAttack",
            {"init_attack": "noise"},
            "given init_attack: the harness finds the starting points.",
        ),
        ("foolbox:HopSkipJumpAttack", {"constraint": "l1"}, "may not be given constraint: strength sets it."),
        ("foolbox:BoundaryAttack", {"steps": 2.5}, "foolbox:BoundaryAttack: steps must be a whole number (got 2.5)."),
        ("foolbox:BoundaryAttack", {"steps": True}, "steps must be a whole number (got True)."),
        ("foolbox:BoundaryAttack", {"spherical_step": "far"}, "spherical_step must be a number (got 'far')."),
        ("foolbox:PointwiseAttack", {"l2_binary_search": 1}, "l2_binary_search must be true or false (got 1)."),
        ("foolbox:BoundaryAttack", {"tensorboard": "."}, "tensorboard: an attack writes no files here."),
        ("foolbox:LinearSearchBlendedUniformNoiseAttack", {"directions": 0}, "directions must be larger than 0."),
        ("foolbox:VirtualAdversarialAttack", {}, "foolbox:VirtualAdversarialAttack must be given steps."),
        ("foolbox:GenAttack", {}, "cannot be used: it is targeted only"),
        ("foolbox:DatasetAttack", {}, "cannot be used: it must be fed a data set"),
        ("foolbox:L0FMNAttack", {}, "cannot be used: it calls a method"),
        ("art:HopSkipJmp", {}, "no evasion attack of the toolbox named 'HopSkipJmp'. Did you mean HopSkipJump?"),
        (
            "art:HopSkipJump",
            {"max_itr": 5},
            "has no parameter 'max_itr'. Did you mean max_iter? (There are: batch_size,",
        ),
        (
            "art:HopSkipJump",
            {"max_iter": -5},
            "refused its parameters: The number of iterations must be a non-negative integer.",
        ),
        ("art:HopSkipJump", {"classifier": 1}, "has no parameter 'classifier'"),
        ("art:GRAPHITEBlackbox", {}, "cannot be used: it needs the image of a target"),
        ("art:DPatch", {}, "art:DPatch cannot be used: it does not attack classifiers of images."),
        ("art:SaliencyMapMethod", {}, "cannot be used: it is targeted only"),
        ("art:GeoDA", {}, "toy.toml: art:GeoDA cannot be used: it uses numpy.mat, which numpy 2 removed"),
        *OWN,
    ],
)
def test_wrong_entries_are_refused_in_one_sentence(attack, parameters, sentence):
    with pytest.raises(UserError) as error:
        build_attack(entry(attack, "gradients", **parameters))
    assert sentence in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("attack", "access", "strength", "sentence"),
    [
        ("square", "decisions", "linf", 'needs access = "scores" or more; "decisions" shows less.'),
        ("boundary", "none", "l2", 'needs access = "decisions" or more; "none" shows less.'),
        ("projected-gradient", "scores", "linf", 'needs access = "gradients" or more; "scores" shows less'),
        ("square", "scores", "sigma", 'is defined for linf or l2; set strength = "linf" or "l2" (got "sigma").'),
        ("simba", "scores", "linf", 'is defined for l2; set strength = "l2" (got "linf").'),
        (
            "projected-gradient",
            "transfer",
            "l1",
            'is defined for linf or l2; set strength = "linf" or "l2" (got "l1").',
        ),
        ("composite", "gradients", "linf", 'is defined for scale; set strength = "scale" (got "linf").'),
        ("boundary", "decisions", "linf", 'is defined for l2; set strength = "l2" (got "linf").'),
    ],
)
def test_our_attacks_are_told_another_access_or_strength_than_they_work_with(attack, access, strength, sentence):
    """They would run under it, and be another attack than the row says."""
    with pytest.raises(UserError) as error:
        build_attack(entry(attack, access, strength))
    assert str(error.value).startswith(f"toy.toml: {attack} {sentence}")


@pytest.mark.parametrize(("attack", "parameters"), [case[:2] for case in OWN])
def test_what_our_attacks_refuse_is_said_with_the_file(attack, parameters):
    with pytest.raises(UserError, match=f"^toy.toml: {attack} refused its parameters: "):
        build_attack(entry(attack, **parameters))

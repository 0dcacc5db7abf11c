"""The table of the classes of foolbox and ART: complete, and right about the access that each class needs."""

import inspect
from importlib.util import find_spec

import pytest

from robustbench_pix.attacks.building import build_attack
from robustbench_pix.attacks.libraries.classes import CLASSES, KNOWN_DEFECTS, UNDECLARED, refused
from robustbench_pix.attacks.libraries.signatures import engine_class, engine_classes, nameable
from robustbench_pix.attacks.requirements import ACCESSES
from robustbench_pix.errors import JobFailedError, UserError
from robustbench_pix.evaluation.evaluate import evaluate
from tests.attacks.toys import Quadrants, case_of, decisions_of, entry, run_entry, some_images

FEWER = {
    "steps": 5,
    "max_iter": 3,
    "query_limit": 50,
    "binary_search_steps": 1,
    "repeats": 2,
    "directions": 20,
    "max_halving": 1,
    "max_doubling": 1,
    "nb_random_init": 1,
    "init_eval": 5,
    "k": 5,
    "num_trial": 5,
    "nb_steps": 3,
    "initial_gradient_eval_steps": 5,
    "max_gradient_eval_steps": 10,
    "conjugate_sinkhorn_max_iter": 20,
    "projected_sinkhorn_max_iter": 20,
}
ALIASES = {"PGD", "AdamPGD", "FGM", "FGSM", "MIFGSM"}
USABLE = [
    reference
    for reference in CLASSES
    if refused(reference) is None
    and reference.partition(":")[2] not in ALIASES
    and not reference.endswith(("1PGD", "2PGD", "fPGD"))
]


@pytest.mark.parametrize("engine", ["foolbox", "art"])
def test_every_class_is_in_the_table_or_refused_with_a_reason(engine):
    for name in engine_classes(engine):
        reference = f"{engine}:{name}"
        assert (refused(reference) is None) <= (reference in CLASSES), reference
    named = {reference.partition(":")[2] for reference in CLASSES if reference.startswith(f"{engine}:")}
    assert named - set(engine_classes(engine)) <= {ref.partition(":")[2] for ref in UNDECLARED}
    known = {ref.partition(":")[2] for ref in KNOWN_DEFECTS if ref.startswith(f"{engine}:")}
    assert known - set(engine_classes(engine)) <= {"BrendelBethgeAttack"}


def of(reference, access, strength):
    signature = inspect.signature(engine_class(reference))
    parameters = {name: value for name, value in FEWER.items() if name in signature.parameters}
    return entry(reference, access, strength, **parameters)


@pytest.mark.parametrize("reference", USABLE)
def test_every_class_runs_with_the_access_that_the_table_says(reference):
    needs = CLASSES[reference]
    spec = of(reference, needs.access, needs.strengths[0])
    examples = run_entry(spec, Quadrants(), some_images(1), strengths=(0.0, 0.2))
    assert len(examples) in (1, 2)
    if needs.access == "none":
        assert (examples["queries"] == 0).all()
    if needs.access == "gradients":
        attack = build_attack(spec)
        blind = spec.model_copy(update={"access": "scores"})
        with pytest.raises(JobFailedError, match="requests gradients"):
            run_entry_of(blind, attack)


def run_entry_of(spec, attack):
    network, images = Quadrants(), some_images(1)
    case = case_of(spec, strengths=(0.0, 0.2))
    return evaluate(network, None, attack, images, decisions_of(network, images), case, device="cpu")


@pytest.mark.parametrize("reference", [ref for ref in USABLE if CLASSES[ref].access != "none"])
def test_less_access_than_a_class_needs_is_refused_before_anything_runs(reference):
    needs = CLASSES[reference]
    less = ACCESSES[ACCESSES.index(needs.access) - 1]
    with pytest.raises(UserError, match=f'^toy.toml: {reference} needs access = "{needs.access}" or more; "{less}"'):
        build_attack(of(reference, less, needs.strengths[0]))


def test_a_source_model_shows_gradients():
    build_attack(entry("foolbox:LinfPGD", "transfer", "linf"))
    build_attack(entry("art:HopSkipJump", "transfer", "l2"))


@pytest.mark.parametrize(
    ("reference", "access", "strength", "words"),
    [
        ("foolbox:LinfPGD", "gradients", "l2", 'is defined for linf; set strength = "linf" (got "l2")'),
        ("foolbox:L1PGD", "gradients", "l2", 'is defined for l1; set strength = "l1"'),
        ("foolbox:BoundaryAttack", "decisions", "linf", 'is defined for l2; set strength = "l2"'),
        ("foolbox:GaussianBlurAttack", "decisions", "sigma", 'defined for no norm; set strength = "l2" or "linf"'),
        ("art:SquareAttack", "scores", "l1", 'defined for l2 or linf; set strength = "l2" or "linf"'),
    ],
)
def test_a_strength_that_contradicts_the_class_is_refused(reference, access, strength, words):
    with pytest.raises(UserError) as error:
        build_attack(entry(reference, access, strength))
    assert words in str(error.value)


def test_the_norm_of_a_class_that_is_told_it_follows_the_strength():
    linf = build_attack(entry("foolbox:HopSkipJumpAttack", "decisions", "linf"))
    assert linf.engine_attack.constraint == "linf"
    assert build_attack(entry("art:FastGradientMethod", "gradients", "l1")).parameters["norm"] == 1


@pytest.mark.parametrize("reference", ["foolbox:L1PGD", "art:ProjectedGradientDescent"])
def test_an_l1_ball_is_held_by_the_judge(reference):
    spec = of(reference, "gradients", "l1")
    examples = run_entry(spec, Quadrants(), some_images(2), strengths=(0.0, 0.5))
    assert not examples["failed"].any()
    strong = examples[examples["strength"] == 0.5]
    assert (strong["l2"] > 0).all()
    assert (strong["l2"] <= 0.5).all()


def test_the_listing_tells_defaults_and_reasons():
    foolbox = {row["class"]: row for row in nameable("foolbox")}
    assert foolbox["foolbox:LinfPGD"]["parameters"]["steps"] == 40
    assert foolbox["foolbox:LinfPGD"]["strength"] == ["linf"]
    assert foolbox["foolbox:VirtualAdversarialAttack"]["parameters"]["steps"] == "required"
    assert "init_attack" not in foolbox["foolbox:BoundaryAttack"]["parameters"]
    art = {row["class"]: row for row in nameable("art")}
    assert art["art:DPatch"]["known_defect"] == "refused: does not attack classifiers of images"
    assert art["art:GeoDA"]["known_defect"].startswith("refused: uses numpy.mat")
    if find_spec("cma") is None:
        assert "pip install cma" in art["art:ThresholdAttack"]["known_defect"]

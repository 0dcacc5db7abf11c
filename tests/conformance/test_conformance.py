"""Every shipped attack holds the properties, which notice whoever breaks them: toys and stock libraries."""

import re
from pathlib import Path

import art.attacks.evasion as art
import foolbox.attacks as fa
import numpy as np
import pytest
import torch

from robustbench_pix.attacks.building import build_attack
from robustbench_pix.attacks.libraries.classes import KNOWN_DEFECTS, KNOWN_VIOLATIONS
from robustbench_pix.catalogue.strengths import Strengths
from robustbench_pix.catalogue.workspace import Workspace
from robustbench_pix.conformance.certificate import PROPERTIES, bounds, certify, shortened, zero
from robustbench_pix.conformance.trial import ConstantClassifier, ProbeModel, Trial
from robustbench_pix.errors import UserError
from tests.attacks.toys import entry
from tests.conformance import liars, stock

SHIPPED = Workspace(Path("nowhere"))


def broken(spec, make):
    """Return the properties that an attack breaks, with what is said of them."""
    return {one.property: one.details for one in certify(spec, lambda _: make()) if one.state == "FAILS"}


@pytest.mark.parametrize("name", SHIPPED.names("attacks"))
def test_every_shipped_attack_holds_the_properties(name):
    findings = certify(SHIPPED.attack(name))
    assert [one.property for one in findings] == list(PROPERTIES)
    assert [one for one in findings if one.state == "FAILS"] == []


def test_an_honest_attack_breaks_nothing():
    assert broken(entry("boundary", "gradients", "linf"), liars.Fixed) == {}


@pytest.mark.parametrize(
    ("liar", "access", "name", "words"),
    [
        (liars.Unrepeatable, "none", "repeats", "it is not deterministic"),
        (liars.BatchMean, "none", "batch", "alone or in another order"),
        (liars.OutOfBounds, "none", "bounds", r"it leaves \[0, 1\] by 0.01"),
        (liars.OutOfBall, "none", "bounds", "its perturbation has linf norm 0.101, above the radius 0.1"),
        (liars.Overspending, "decisions", "budget", "RuntimeError: no answer"),
        (liars.Retraining, "decisions", "model", "it changed normalization.running_mean"),
        (liars.LeftInTraining, "decisions", "model", "left the model in training mode"),
        (liars.MakingRight, "transfer", "labels", "became correct"),
        (liars.Sinking, "decisions", "alone", "ValueError: no start"),
        (liars.Endless, "decisions", "ends", "did not end"),
        (liars.AtZero, "none", "zero", "at strength 0 it changes images"),
        (liars.Drawing, "none", "states", "draws from a global random state"),
        (liars.Writing, "none", "files", r"cache\.npy"),
        (liars.Overwriting, "none", "inputs", "it changes its input images"),
    ],
)
def test_each_property_notices_who_breaks_it(liar, access, name, words, monkeypatch):
    monkeypatch.setattr(ProbeModel, "limit", 500)
    found = broken(entry("boundary", access, "linf"), liar)
    assert name in found, found
    assert re.search(words, found[name]), found


def test_it_notices_that_the_toolbox_draws_its_start_from_the_system():
    found = broken(entry("art:BoundaryAttack"), lambda: stock.Art(art.BoundaryAttack, targeted=False, max_iter=3))
    assert found["repeats"] == "it is not deterministic"


def test_it_notices_that_the_toolbox_ignores_labels(monkeypatch):
    drawn = np.random.RandomState
    monkeypatch.setattr(np.random, "RandomState", lambda: drawn(0))  # else the start is the operating system's
    spec = entry("art:HopSkipJump", "transfer")
    found = broken(spec, lambda: stock.Art(art.HopSkipJump, max_iter=2, init_eval=10, max_eval=20))
    assert "became correct" in found["labels"]
    assert broken(spec, lambda: build_attack(shortened(spec))) == {}


def test_it_notices_that_foolbox_divides_by_the_norm_of_the_batch():
    def stock_hop_skip_jump():
        return stock.FoolboxMinimal(fa.HopSkipJumpAttack(steps=2, init_attack=fa.SaltAndPepperNoiseAttack(steps=50)))

    assert "batch" in broken(entry("foolbox:HopSkipJumpAttack"), stock_hop_skip_jump)
    spec = entry("foolbox:HopSkipJumpAttack", steps=2, initial_gradient_eval_steps=10, max_gradient_eval_steps=20)
    assert {one.state for one in certify(spec)} == {"passes", "-"}


def test_it_notices_that_one_failed_start_sinks_foolboxs_batch():
    found = broken(entry("foolbox:BoundaryAttack"), lambda: stock.FoolboxMinimal(fa.BoundaryAttack(steps=5)))
    assert "init_attack failed for" in found["alone"]
    assert {one.property for one in certify(entry("foolbox:BoundaryAttack")) if one.state == "FAILS"} == set()


def test_it_notices_that_foolboxs_noise_leaves_its_ball():
    spec = entry("foolbox:LinfAdditiveUniformNoiseAttack", "decisions", "linf")
    spec = spec.model_copy(update={"strengths": {"default": Strengths((0.0, 0.05))}})
    trial = Trial(spec, lambda _: stock.FoolboxRaw(fa.LinfAdditiveUniformNoiseAttack()))
    assert "its perturbation has linf norm 0.05" in bounds(trial, trial.run())
    ours = Trial(spec, build_attack)
    assert bounds(ours, ours.run()) is None
    assert zero(ours, ours.run()) is None


def test_noise_of_a_fixed_norm_is_not_taken_for_noise_of_a_given_sigma():
    with pytest.raises(UserError, match='is defined for l2; set strength = "l2"'):
        build_attack(entry("foolbox:L2AdditiveGaussianNoiseAttack", "none", "sigma"))
    assert "not noise of a given sigma" in KNOWN_DEFECTS["foolbox:L2AdditiveGaussianNoiseAttack"].reason


def test_a_clean_image_that_the_toolbox_returns_for_want_of_a_start_is_counted_as_failed():
    trial = Trial(entry("art:BoundaryAttack"), lambda _: stock.Art(art.BoundaryAttack, targeted=False, max_iter=2))
    outcome = trial.run(network=ConstantClassifier())
    assert all(torch.equal(made, trial.images()[number]) for (number, _), made in outcome.raw.items())
    assert outcome.columns["failed"].all()
    assert outcome.columns["correct"].all()


def test_it_notices_that_geoda_writes_files_and_does_not_end(monkeypatch):
    monkeypatch.setattr(ProbeModel, "limit", 3000)
    monkeypatch.setattr(np, "mat", np.asmatrix, raising=False)
    found = broken(entry("boundary"), lambda: stock.Art(art.GeoDA, max_iter=2000, sub_dim=3))
    assert "2d_dct_basis" in found["files"]
    assert "did not end" in found["ends"]


def test_a_known_violation_is_no_failure(monkeypatch):
    monkeypatch.setitem(KNOWN_VIOLATIONS, "boundary", {"files": "leaves its cache behind"})
    findings = certify(entry("boundary", "none", "linf"), lambda _: liars.Writing())
    assert {one.property: (one.state, one.details) for one in findings}["files"] == ("known", "leaves its cache behind")

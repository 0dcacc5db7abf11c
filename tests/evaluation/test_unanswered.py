"""Answers that are not finite: never right, found by whoever attacks, counted and told."""

import math

import pandas as pd
import pytest
import torch
from torch import nn

from robustbench_pix.attacks.recorded import NO_ANSWER
from robustbench_pix.evaluation.judging import judge, predict
from robustbench_pix.results.measuring import measure
from robustbench_pix.results.statistics.worst_case import outcome, worst_case
from tests.attacks.toys import attacked, decisions_of, entry, gray_images, run_entry
from tests.evaluation.told import run_fixed, run_minimal

IMAGES = gray_images(6)
VALUES = [math.nan, math.inf, -math.inf]


class Standardizing(nn.Module):
    """Always class 0, but for images without contrast, of which it makes what a division by zero makes."""

    def __init__(self, value=math.nan, below=1e-3, place=slice(None)):
        super().__init__()
        self.value, self.below, self.place = value, below, place

    def forward(self, images):
        logits = torch.tensor([2.0, 1.0, 0.0, 0.0]).repeat(len(images), 1) + 0 * images.mean(dim=(1, 2, 3))[:, None]
        constant = images.flatten(1).std(dim=1) < self.below
        logits[constant, self.place] = self.value
        return logits


LABELS = torch.zeros(6, dtype=torch.int64)


def constant(images, strength=1.0):
    """Take the contrast away from the first four images."""
    flat = images.mean(dim=(1, 2, 3), keepdim=True).expand_as(images).clone()
    flat[4:] = images[4:]
    return images if strength == 0 else flat


@pytest.mark.parametrize("value", VALUES)
@pytest.mark.parametrize("place", [slice(None), slice(0, 1), slice(3, 4)])
def test_no_such_answer_is_a_prediction(value, place):
    network = Standardizing(value, place=place)
    assert predict(network, constant(IMAGES), device="cpu").tolist() == [NO_ANSWER] * 4 + [0, 0]
    assert judge(network, IMAGES, constant(IMAGES), device="cpu").prediction.tolist() == [NO_ANSWER] * 4 + [0, 0]


@pytest.mark.parametrize("value", VALUES)
def test_accuracy_falls_by_them_and_they_are_counted(value):
    examples = run_fixed(constant, labels=LABELS, images=IMAGES, network=Standardizing(value), strengths=(0.0, 1.0))
    at_end = examples[examples["strength"] == 1.0]
    assert at_end["correct"].tolist() == [False] * 4 + [True] * 2
    assert at_end["prediction"].tolist() == [NO_ANSWER] * 4 + [0, 0]
    assert not at_end["failed"].any()
    first, last = measure(examples, spec_of((0.0, 1.0), "none", "sigma"))
    assert (first["unanswered"], last["unanswered"], last["accuracy"]) == (0, 4, 2 / 6)
    assert "no finite answer on 4 images" in last["flags"].split("; ")


def spec_of(strengths, access, kind):
    attack = {
        "attack": "x", "access": access, "strength": kind, "strengths": list(strengths), "parameters": {},
        "evaluation": {"repetitions": 1},
    }  # fmt: skip
    shared = {"version": "0", "torch": "0", "device": "cpu", "context": {"entries": 64, "batch_dependent": False}}
    return {"identity": {"protocol": "strict", "attack": attack}, **shared}


def test_a_clean_image_without_an_answer_is_wrong():
    images = constant(IMAGES)
    examples = run_fixed(lambda images, strength: images, labels=LABELS, images=images, network=Standardizing())
    assert set(examples.loc[examples["index"] < 4, "clean_prediction"]) == {NO_ANSWER}
    rows = measure(examples, spec_of(sorted(examples["strength"].unique()), "none", "sigma"))
    assert {(row["accuracy"], row["unanswered"]) for row in rows} == {(2 / 6, 4)}


@pytest.mark.parametrize("protocol", ["strict", "paper"])
def test_for_a_decision_attack_it_is_an_adversarial(protocol):
    examples = run_minimal(
        constant, labels=LABELS, images=IMAGES, network=Standardizing(), strengths=(0.0, 5.0), protocol=protocol
    )
    assert examples["failed"].tolist() == [False] * 4 + [True] * 2
    assert examples["prediction"].tolist() == [NO_ANSWER] * 4 + [0, 0]
    expected = (constant(IMAGES) - IMAGES).flatten(1).norm(dim=1)[:4]
    assert examples["l2"].tolist()[:4] == pytest.approx(expected.tolist())
    first, last = measure(examples, spec_of((0.0, 5.0), "decisions", "l2"))
    assert (first["unanswered"], last["unanswered"], last["correct"]) == (0, 4, 2)


def test_under_the_papers_protocol_a_clean_image_without_an_answer_is_not_attacked():
    images = constant(IMAGES)
    attack = lambda images: 1 - images  # noqa: E731
    examples = run_minimal(
        attack, labels=LABELS, images=images, network=Standardizing(), strengths=(), protocol="paper"
    )
    assert examples["l2"].tolist()[:4] == [0.0] * 4
    assert not examples["correct"].iloc[:4].any()


@pytest.mark.parametrize("access", ["decisions", "scores", "gradients"])
def test_the_attacker_is_shown_another_class(access):
    flat = constant(IMAGES)
    target, log = attacked(Standardizing(), IMAGES, LABELS, access)
    shown = target.oracle(flat.clone().requires_grad_(access == "gradients"))
    assert shown.isfinite().all()
    assert (shown.argmax(dim=1) != LABELS).tolist() == [True] * 4 + [False] * 2
    assert log.found_at.tolist() == [1] * 4 + [0] * 2


class Hole(nn.Module):
    """Two classes split by the mean; where the mean is above 0.51, nothing finite."""

    def forward(self, images):
        mean = images.mean(dim=(1, 2, 3))
        logits = torch.stack([torch.zeros_like(mean), mean - 0.9], dim=1)
        return torch.where((mean > 0.51)[:, None], torch.full_like(logits, torch.nan), logits)


@pytest.mark.parametrize(
    ("attack", "access", "parameters"),
    [
        ("hop-skip-jump", "decisions", {"steps": 15}),
        ("boundary", "decisions", {"steps": 4000}),
        ("foolbox:BoundaryAttack", "decisions", {"steps": 4000}),
    ],
)
def test_decision_attacks_find_the_nearest_of_them(attack, access, parameters):
    """The distance to the plane of mean 0.51 is 8 (0.51 - mean), in 64 dimensions."""
    images = gray_images(4)
    examples = run_entry(entry(attack, access, **parameters), Hole(), images, decisions_of(Hole(), images), classes=2)
    exact = 8 * (0.51 - images.mean(dim=(1, 2, 3)))
    assert set(examples["prediction"]) == {NO_ANSWER}
    ratio = torch.tensor(examples["l2"].to_numpy()) / exact
    assert (ratio > 1 - 1e-4).all()
    assert ratio.mean() < 1.5


@pytest.mark.parametrize(
    ("attack", "access", "kind"),
    [
        ("square", "scores", "linf"),
        ("projected-gradient", "gradients", "linf"),
        ("auto-attack", "gradients", "linf"),
        ("foolbox:LinfPGD", "gradients", "linf"),
        ("natural-evolution", "scores", "linf"),
    ],
)
def test_attacks_at_a_strength_take_them_as_found(attack, access, kind):
    images = gray_images(4)
    spec, labels = entry(attack, access, kind), decisions_of(Hole(), images)
    examples = run_entry(spec, Hole(), images, labels, strengths=(0.0, 0.2), classes=2)
    at_end = examples[examples["strength"] == 0.2]
    assert not at_end["correct"].any()
    assert not at_end["failed"].any()


def test_the_worst_case_counts_images_with_such_an_answer():
    fixed = run_fixed(constant, labels=LABELS, images=IMAGES, network=Standardizing(), strengths=(0.0, 1.0))
    specs = spec_of((0.0, 1.0), "none", "sigma"), spec_of((0.0, 5.0), "decisions", "l2")
    found = run_minimal(lambda images: images, labels=LABELS, images=IMAGES, network=Standardizing())
    tables = fixed, found
    outcomes = [
        outcome(measure(table, spec)[0], table, spec["identity"]["attack"])
        for table, spec in zip(tables, specs, strict=True)
    ]
    lines = pd.DataFrame(worst_case(outcomes))
    assert lines["unanswered"].tolist() == [4] * len(lines)
    assert lines["correct"].tolist() == [6, 6, 6, 6, 2]

"""ExampleImages are of what was judged, and keeping them changes no number."""

import numpy as np
import pytest
import torch

from robustbench_pix.attacks.noise import GaussianNoise
from robustbench_pix.evaluation import evaluate as evaluating
from robustbench_pix.evaluation.evaluate import ExampleImages, evaluate
from tests.attacks.toys import SIDE, Quadrants, case_of, decisions_of, entry
from tests.evaluation.told import (
    IMAGES,
    LABELS,
    STRENGTHS,
    WRONG,
    Fixed,
    Minimal,
    inverted,
    nan,
    out_of_bounds,
    unchanged,
)

KEPT = np.array([0, 1, 3])


def attacked(attack, access="none", kind="sigma", labels=LABELS, strengths=STRENGTHS, indices=KEPT, **case):
    """Return the examples and the pictures of an attack on six images."""
    pictures = ExampleImages(indices)
    case = case_of(entry("x", access, kind), strengths, **case)
    examples = evaluate(Quadrants(), None, attack, IMAGES, labels, case, device="cpu", pictures=pictures)
    return examples, pictures.table(examples, IMAGES).set_index("index")


def nearest(make, labels=LABELS, **case):
    return attacked(Minimal(make), "decisions", "l2", labels, (), **case)[1]


def levels(text):
    """Return what eyes see, (H, W) in [0, 1]."""
    return np.array([int(text[place : place + 2], 16) for place in range(0, len(text), 2)]).reshape(SIDE, SIDE) / 255


def same(text, image):
    return np.abs(levels(text) - image[0].numpy()).max() <= 0.5001 / 255


def from_some_strength_on(images, strength):
    return images if strength < 0.05 else (1 - images if strength == 0.05 else images.flip(2, 3))


@pytest.mark.parametrize("protocol", ["strict", "paper"])
@pytest.mark.parametrize(
    ("attack", "access"),
    [(GaussianNoise(), "none"), (Fixed(inverted), "decisions"), (Minimal(inverted), "decisions")],
)
@pytest.mark.parametrize("size", [4, 64])
def test_keeping_pictures_changes_no_number(protocol, attack, access, size, monkeypatch):
    monkeypatch.setattr(evaluating, "judge_batch", lambda device, entries: size)
    given = (Quadrants(), None, attack, IMAGES, WRONG)
    case, pictures = case_of(entry("x", access, "sigma"), STRENGTHS, protocol, repetitions=3), ExampleImages(KEPT)
    plain = evaluate(*given, case, device="cpu")
    assert evaluate(*given, case, device="cpu", pictures=pictures).equals(plain)
    assert sorted(pictures.judged) == KEPT.tolist()


def test_the_first_strength_with_a_wrong_answer_is_shown():
    _, table = attacked(Fixed(from_some_strength_on))
    assert table.index.tolist() == KEPT.tolist()
    assert (table["strength"] == 0.05).all()
    for index, row in table.iterrows():
        assert same(row["original"], IMAGES[index])
        assert same(row["picture"], 1 - IMAGES[index])
        assert row["prediction"] == decisions_of(Quadrants(), 1 - IMAGES[index : index + 1]).item() != row["label"]
        change = (1 - 2 * IMAGES[index]).numpy()
        assert row["l2"] == pytest.approx(np.sqrt((change**2).sum()), rel=1e-5)
        assert row["linf"] == pytest.approx(np.abs(change).max(), rel=1e-5)
    assert (table[["height", "width"]] == SIDE).all(axis=None)


def test_where_the_model_is_never_wrong_the_largest_strength_is_shown():
    _, table = attacked(Fixed(lambda images, strength: images * (1 - strength)))
    assert (table["strength"] == STRENGTHS[-1]).all()
    assert (table["prediction"] == table["label"]).all()
    assert all(same(row["picture"], IMAGES[index] * (1 - STRENGTHS[-1])) for index, row in table.iterrows())


@pytest.mark.parametrize("protocol", ["strict", "paper"])
@pytest.mark.parametrize("minimal", [False, True])
def test_an_image_that_was_wrong_without_attack_is_shown_as_it_is(protocol, minimal):
    if minimal:
        table = nearest(inverted, WRONG, protocol=protocol)
    else:
        table = attacked(Fixed(from_some_strength_on), "decisions", labels=WRONG, protocol=protocol)[1]
    assert table.loc[1, "picture"] == table.loc[1, "original"]
    assert table.loc[1, ["l2", "linf"]].tolist() == [0, 0]
    assert table.loc[1, "prediction"] == LABELS[1].item() != table.loc[1, "label"]
    assert minimal or table.loc[1, "strength"] == 0
    assert all(same(table.loc[index, "picture"], 1 - IMAGES[index]) for index in (0, 3)), "each its own"


def test_of_minimal_distances_the_nearest_adversarial_is_shown_or_the_image_itself():
    def further_and_nearer(images):
        return torch.stack([1 - image if place else image for place, image in enumerate(images)])

    table = nearest(further_and_nearer)
    assert table["strength"].isna().all()
    assert table.loc[0, "picture"] == table.loc[0, "original"]
    assert (table.loc[0, "prediction"], table.loc[0, "l2"]) == (LABELS[0].item(), 0)
    assert all(same(table.loc[index, "picture"], 1 - IMAGES[index]) for index in (1, 3))
    assert (table.loc[[1, 3], "prediction"] != table.loc[[1, 3], "label"]).all()


class Asking(Minimal):
    """Asks about a near adversarial and returns a far one."""

    def minimize(self, target, images, labels, starts, keys):
        near = 0.5 - (images - 0.5)
        target.oracle(near)
        return ((near - 0.5) * 3 + 0.5).clamp(0, 1)


def test_what_was_judged_is_shown_and_not_what_was_returned():
    examples, table = attacked(Asking(None), "decisions", "l2", strengths=())
    assert all(same(row["picture"], 1 - IMAGES[index]) for index, row in table.iterrows())
    measured = examples.set_index("index")["l2"][table.index]
    assert table["l2"].to_numpy() == pytest.approx(measured.to_numpy(), rel=1e-7)


@pytest.mark.parametrize("make", [nan, out_of_bounds])
def test_what_leaves_the_bounds_is_no_picture(make):
    for table in (attacked(Fixed(make))[1], nearest(make)):
        assert (table["picture"] == table["original"]).all()
        assert (table["prediction"] == table["label"]).all()


def test_only_the_first_repetition_is_shown_whatever_the_batch(monkeypatch):
    alone = attacked(GaussianNoise(), strengths=(0.0, 0.3))[1]
    for size in (4, 64):
        monkeypatch.setattr(evaluating, "judge_batch", lambda device, entries, size=size: size)
        assert attacked(GaussianNoise(), strengths=(0.0, 0.3), repetitions=3)[1].equals(alone)
    assert alone["picture"].nunique() == 3


def test_channels_stand_side_by_side():
    images = torch.rand(2, 3, SIDE, SIDE, generator=torch.Generator().manual_seed(0))
    pictures, case = ExampleImages(np.array([1])), case_of(entry("x", "none", "sigma"), (0.0,))
    examples = evaluate(
        Quadrants(), None, Fixed(unchanged), images, torch.zeros(2).long(), case, device="cpu", pictures=pictures
    )
    (row,) = pictures.table(examples, images).to_dict("records")
    numbers = [int(row["original"][place : place + 2], 16) for place in range(0, len(row["original"]), 2)]
    first_two = images[1, :, 0, :2].T.flatten()
    assert numbers[:6] == [round(255 * value) for value in first_two.tolist()]
    assert row["strength"] == 0

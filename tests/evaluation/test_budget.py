"""A budget of queries is hard: whatever an attack asks beyond it is answered with the label, and counts for nothing."""

import numpy as np
import pytest
import torch

from robustbench_pix.attacks.base import FixedStrengthAttack, MinimalDistanceAttack
from robustbench_pix.attacks.querying.oracle import BudgetSpentError
from tests.attacks.toys import Counting, Halfspace, attacked, decisions_of, entry, gray_images, run_entry

NETWORK, IMAGES = Halfspace(distance=0.3), gray_images(4)
LABELS = decisions_of(NETWORK, IMAGES)
DISTANCES = NETWORK.distances(IMAGES)


def across(share, images=IMAGES):
    """Return images moved towards the boundary by a share of their distance from it."""
    with torch.no_grad():
        length = NETWORK.margin(images) / NETWORK.weight.norm()
        step = length[:, None] * NETWORK.weight / NETWORK.weight.norm()
    return images - share * step.reshape(images.shape)


class Approaching(MinimalDistanceAttack):
    """Asks about points nearer and nearer to the boundary, never looking at the answers."""

    def __init__(self, each=False):
        self.each = each

    def minimize(self, target, images, labels, starts, keys):
        for share in np.linspace(2, 1.01, 100):
            points = across(float(share), images)
            if self.each:
                for row in torch.arange(len(points)):
                    target.oracle(points[row, None], row[None])
            else:
                target.oracle(points)
        return across(1.005, images)


@pytest.mark.parametrize("each", [False, True])
def test_what_is_asked_beyond_the_budget_is_no_find(each):
    free = run_entry(entry("x"), NETWORK, IMAGES, attack=Approaching(each))
    np.testing.assert_allclose(free["l2"], 1.005 * DISTANCES, rtol=1e-4)
    assert (free["queries"] == 100).all()
    bound = run_entry(entry("x"), NETWORK, IMAGES, attack=Approaching(each), budget=30)
    np.testing.assert_allclose(bound["l2"], np.linspace(2, 1.01, 100)[29] * DISTANCES, rtol=1e-4)
    assert (bound["queries"] == 30).all()
    assert bound["distance_at_50"].tolist() == bound["distance_at_30"].tolist()


def test_an_engine_is_interrupted_once_nothing_is_left():
    network = Counting(NETWORK)
    run_entry(entry("x"), network, IMAGES, attack=Approaching(), budget=30)
    assert network.asked < 4 * 40, "the clean decisions, 30 queries and the verdicts"
    target, log = attacked(NETWORK, IMAGES, LABELS)
    log.budget = 2
    for _ in range(2):
        target.oracle(IMAGES)
    with pytest.raises(BudgetSpentError):
        target.oracle(IMAGES)


def test_beyond_the_budget_the_answer_is_the_label():
    rows = torch.tensor([0, 1, 1, 1, 0])
    for access in ("decisions", "scores"):
        target, log = attacked(NETWORK, IMAGES, LABELS, access)
        log.budget = 2
        answers = target.oracle(across(2.0)[rows], rows).argmax(dim=1)
        wrong = torch.tensor([True, True, True, False, True])
        assert ((answers != LABELS[rows]) == wrong).all()
        assert log.queries.tolist() == [2, 2, 0, 0]
        assert log.refused.tolist() == [False, True, False, False]


class Trying(FixedStrengthAttack):
    """At each strength asks so often about a harmless point, then about one across the boundary; returns neither."""

    def __init__(self, times):
        self.times = times

    def perturb(self, target, images, labels, strengths, keys):
        for strength in strengths:
            for _ in range(self.times):
                target.oracle(images)
            points = across(1.1, images)
            distance = (points - images).flatten(1).norm(dim=1)[:, None, None, None]
            target.oracle(images + (points - images) * (strength / distance).clamp(max=1))
            yield images


@pytest.mark.parametrize(("times", "found"), [(4, True), (5, False)])
def test_every_strength_has_a_budget_of_its_own(times, found):
    strengths = (0.0, 0.01, 0.5, 0.6)
    examples = run_entry(entry("x", "scores"), NETWORK, IMAGES, attack=Trying(times), strengths=strengths, budget=5)
    for strength, rows in examples.groupby("strength"):
        fooled = found and strength >= 0.5
        assert (rows["queries"] == 5).all()
        assert (rows["found_at"] == (5 if fooled else 0)).all(), strength
        assert (rows["correct"] != fooled).all()
        np.testing.assert_allclose(rows["l2"], 1.1 * DISTANCES if fooled else 0, rtol=1e-4)


def test_what_was_asked_outside_the_ball_is_not_found():
    class Outside(FixedStrengthAttack):
        def perturb(self, target, images, labels, strengths, keys):
            for _ in strengths:
                target.oracle(across(1.1, images))
                yield images

    short = 0.99 * 1.1 * DISTANCES.min().item()
    examples = run_entry(entry("x", "scores"), NETWORK, IMAGES, attack=Outside(), strengths=(0.0, 0.01, short, 0.5))
    assert (examples["correct"] == (examples["strength"] < 0.5)).all()
    assert ((examples["found_at"] == 1) == (examples["strength"] == 0.5)).all()


OURS = [
    ("boundary", "decisions", {"steps": 2000}),
    ("hop-skip-jump", "decisions", {"steps": 8}),
    ("pointwise", "decisions", {}),
    ("geoda", "decisions", {}),
    ("decision-ensemble", "decisions", {}),
    ("square", "scores", {"steps": 1000}),
    ("simba", "scores", {}),
    ("natural-evolution", "scores", {}),
]
ATTACKS = [
    *OURS,
    ("foolbox:BoundaryAttack", "decisions", {"steps": 2000}),
    ("art:SignOPTAttack", "decisions", {"query_limit": 400}),
    ("art:SimBA", "scores", {"max_iter": 500, "epsilon": 0.01}),
]


def run(attack, access, parameters, images=5, **budget):
    spec = entry(attack, access, **parameters)
    return run_entry(spec, NETWORK, gray_images(5)[:images], strengths=(0.0, 0.3), images_attacked=images, **budget)


@pytest.mark.parametrize("case", ATTACKS, ids=[case[0] for case in ATTACKS])
def test_no_attack_is_answered_more_than_its_budget(case):
    free, bound = run(*case), run(*case, budget=150)
    assert free["queries"].max() > 150, "the budget is to bind"
    assert bound["queries"].max() == 150
    if "distance_at_100" in bound and not case[0].startswith("foolbox"):
        assert bound["distance_at_100"].tolist() == free["distance_at_100"].tolist()


@pytest.mark.parametrize("case", OURS, ids=[case[0] for case in OURS])
def test_under_a_budget_our_own_attacks_do_not_depend_on_the_batch(case):
    together, apart = run(*case, budget=150), run(*case, images=2, budget=150)
    same = together[together["index"].isin(apart["index"])]
    for name in {"queries", "found_at", "distance_at_100", "l2"} & set(apart):
        np.testing.assert_allclose(same[name], apart[name], rtol=1e-5)

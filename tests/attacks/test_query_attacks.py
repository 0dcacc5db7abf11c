"""What all attacks that ask a model have in common: a closed form at a budget, the ball, and no trace of a batch."""

import numpy as np
import pytest
import torch
from torch import nn

from robustbench_pix.attacks.building import build_attack
from robustbench_pix.attacks.common.losses import log_odds
from robustbench_pix.attacks.common.norms import cosines
from tests.attacks.toys import (
    Halfspace,
    Quadrants,
    QuadraticClassifier,
    attacked,
    decisions_of,
    entry,
    gray_images,
    keys_of,
    run_entry,
    some_images,
)

FACTORS = {
    ("boundary", "l2"): {100: 9, 1_000: 4, 10_000: 1.02},
    ("hop-skip-jump", "l2"): {100: 9, 1_000: 1.2, 10_000: 1.03},
    ("hop-skip-jump", "linf"): {100: 12, 1_000: 1.45, 10_000: 1.06},
    ("pointwise", "l2"): {100: 5, 1_000: 3.2, 10_000: 3.2},
    ("decision-ensemble", "l2"): {100: 12, 1_000: 1.5, 10_000: 1.005},
    ("geoda", "l2"): {100: 9, 1_000: 1.12, 10_000: 1.02},
    ("geoda", "linf"): {100: 12, 1_000: 1.15, 10_000: 1.02},
}
"""By how many times an attack may miss the distance to a hyperplane after so many queries."""


@pytest.mark.parametrize(("attack", "norm"), FACTORS, ids=["-".join(case) for case in FACTORS])
def test_decision_attacks_reach_the_distance_to_a_hyperplane(attack, norm):
    network, images = Halfspace(distance=0.3).requires_grad_(False), gray_images(3)
    parameters = {"directions": 9_600} if attack == "geoda" else {}
    spec = entry(attack, "decisions", norm, **parameters)
    examples = run_entry(spec, network, images, classes=2, budget=10_000)
    dual = network.weight.norm() if norm == "l2" else network.weight.abs().sum()
    closest = (network.margin(images).abs() / dual).numpy()
    assert not examples["failed"].any()
    for queries, factor in FACTORS[attack, norm].items():
        ratio = examples[f"distance_at_{queries}"].to_numpy() / closest
        assert (ratio > 1 - 1e-4).all()
        assert (ratio < factor).all(), (queries, ratio)


SCORES = [
    ("square", "linf", {}, 1.1),
    ("square", "l2", {}, 1.6),
    ("simba", "l2", {}, 1.15),
    ("simba", "l2", {"basis": "dct"}, 1.15),
    ("natural-evolution", "linf", {}, 1.35),
    ("natural-evolution", "l2", {}, 1.15),
]
"""Attack, norm, parameters, and how many times the distance to a hyperplane the ball's radius must be."""


@pytest.mark.parametrize(("attack", "norm", "parameters", "factor"), SCORES, ids=str)
def test_score_attacks_fool_where_the_ball_reaches_across_and_only_there(attack, norm, parameters, factor):
    network, image = Halfspace(distance=0.3).requires_grad_(False), gray_images(1)
    dual = network.weight.norm() if norm == "l2" else network.weight.abs().sum()
    closest = float(network.margin(image).abs() / dual)
    strengths = (0.0, 0.98 * closest, factor * closest)
    spec = entry(attack, "scores", norm, **parameters)
    examples = run_entry(spec, network, image, strengths=strengths, classes=2, budget=1_000)
    assert examples["correct"].tolist() == [True, True, False]
    assert examples["queries"].tolist()[:2] == [0, 1_000]
    assert not examples["failed"].any(), "nothing lies outside the ball"
    assert examples[norm].iloc[2] <= strengths[2] * (1 + 1e-4)


NEW = [
    ("pointwise", "decisions", "l2", {}),
    ("geoda", "decisions", "l2", {"directions": 400, "frequencies": 5}),
    ("geoda", "decisions", "linf", {"directions": 400}),
    ("simba", "scores", "l2", {"steps": 90}),
    ("simba", "scores", "l2", {"steps": 90, "basis": "dct", "frequencies": 5}),
    ("natural-evolution", "scores", "linf", {"steps": 5}),
    ("natural-evolution", "scores", "l2", {"steps": 5}),
]


def searched(case, network, images, labels, starts, keys):
    """Return what an attack found for images, and the queries of each."""
    attack, access, norm, parameters = case
    target, log = attacked(network, images, labels, access, norm=norm)
    built = build_attack(entry(attack, access, norm, **parameters))
    if access == "decisions":
        return built.minimize(target, images, labels, starts, keys), log.queries
    (found,) = built.perturb(target, images, labels, [{"l2": 0.5, "linf": 0.08}[norm]], keys)
    return found, log.queries


@pytest.mark.parametrize("case", NEW, ids=str)
@pytest.mark.parametrize("channels", [1, 3])
def test_an_image_depends_on_itself_and_its_key_alone(case, channels):
    images, keys = some_images(6, channels=channels), keys_of(6)
    network = QuadraticClassifier() if channels == 1 else Quadrants()
    labels, pool = decisions_of(network, images), some_images(50, seed=9, channels=channels)
    decisions = decisions_of(network, pool)
    starts = torch.stack([pool[decisions != label][0] for label in labels])
    together, queries = searched(case, network, images, labels, starts, keys)
    again, _ = searched(case, network, images, labels, starts, keys)
    assert torch.equal(again, together)
    others, _ = searched(case, network, images, labels, starts, keys_of(6, seed=1))
    assert not torch.allclose(others, together)
    backwards, back = searched(case, network, images.flip(0), labels.flip(0), starts.flip(0), keys[::-1])
    torch.testing.assert_close(backwards.flip(0), together, atol=1e-5, rtol=0)
    assert torch.equal(back.flip(0), queries)
    for one in (slice(0, 1), slice(4, 5)):
        alone, asked = searched(case, network, images[one], labels[one], starts[one], keys[one])
        torch.testing.assert_close(alone, together[one], atol=1e-5, rtol=0)
        assert torch.equal(asked, queries[one])


class Stubborn(nn.Module):
    """Always the first class, never surer or less sure."""

    def forward(self, images):
        return torch.tensor([[1.0, 0.0]]).expand(len(images), 2)


@pytest.mark.parametrize("case", NEW, ids=str)
def test_an_attack_on_what_is_never_wrong_ends(case):
    images, labels = some_images(3), torch.zeros(3, dtype=torch.int64)
    found, queries = searched(case, Stubborn(), images, labels, 1 - images, keys_of(3))
    assert found.isfinite().all()
    assert (queries > 0).all()


@pytest.mark.parametrize("case", NEW[3:], ids=str)
def test_strength_0_is_the_image_and_asks_nothing(case):
    attack, access, norm, parameters = case
    network, images = QuadraticClassifier(), some_images(3)
    target, log = attacked(network, images, decisions_of(network, images), access, norm=norm)
    built = build_attack(entry(attack, access, norm, **parameters))
    results = built.perturb(target, images, decisions_of(network, images), [0.0, 0.1], keys_of(3))
    assert torch.equal(next(results), images)
    assert (log.queries == 0).all()
    assert not torch.equal(next(results), images)


def test_cosines_are_the_discrete_cosine_transform():
    fft = pytest.importorskip("scipy.fft")
    signal = np.random.default_rng(0).normal(size=11)
    expected = fft.dct(signal, norm="ortho")
    basis = cosines(11, 99, torch.device("cpu")).numpy()
    np.testing.assert_allclose(basis @ signal, expected, atol=1e-6)
    np.testing.assert_allclose(cosines(11, 4, torch.device("cpu")).numpy(), basis[:4])


def test_log_odds_are_those_of_the_softmax_and_do_not_vanish():
    scores = 3 * torch.randn(20, 5, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    labels = torch.arange(20) % 5
    probability = torch.softmax(scores, dim=1).gather(1, labels[:, None]).flatten()
    torch.testing.assert_close(log_odds(scores, labels), torch.log(probability / (1 - probability)))
    sure = torch.tensor([[100.0, 0.0], [101.0, 0.0]])
    assert log_odds(sure, torch.tensor([0, 0])).tolist() == [100, 101]

"""Our HopSkipJump: as good as both libraries' image by image, and no weaker in a batch, where foolbox's is."""

import math

import numpy as np
import pytest
import torch

from robustbench_pix.attacks.common.philox import PhiloxNoise
from robustbench_pix.attacks.decision.hop_skip_jump import HopSkipJump, HopSkipJumpState
from tests.attacks.toys import (
    SIDE,
    Halfspace,
    QuadraticClassifier,
    attacked,
    decisions_of,
    entry,
    gray_images,
    keys_of,
    run_entry,
    some_images,
)

PIXELS = SIDE * SIDE


@pytest.fixture(scope="module")
def distances():
    """Distances of ten images after six jumps by every implementation, and the mean number of queries."""
    network, images = QuadraticClassifier(), some_images(10)

    def of(attack, parameters, batch_size=64):
        examples = run_entry(entry(attack, **parameters), network, images, batch_size=batch_size)
        assert not examples["failed"].any()
        return examples["l2"].to_numpy(), examples["queries"].mean()

    return {
        "ours": of("hop-skip-jump", {"steps": 6}),
        "foolbox, one by one": of("foolbox:HopSkipJumpAttack", {"steps": 6}, batch_size=1),
        "foolbox, ten at once": of("foolbox:HopSkipJumpAttack", {"steps": 6}, batch_size=10),
        "toolbox": of("art:HopSkipJump", {"max_iter": 6}),
    }


@pytest.mark.parametrize("other", ["foolbox, one by one", "toolbox"])
def test_it_is_as_good_as_the_libraries_image_by_image(distances, other):
    """After six jumps the log distance of one image scatters by about 0.1, so the mean of ten by 0.05."""
    assert distances["ours"][1] == pytest.approx(distances[other][1], rel=0.05)
    ratio = np.log(distances["ours"][0] / distances[other][0])
    assert ratio.mean() < 0.1
    assert np.median(ratio) < 0.1


def test_foolboxs_is_given_one_image_at_a_time_since_a_batch_weakens_it(distances):
    alone, batched = (distances[f"foolbox, {how}"] for how in ("one by one", "ten at once"))
    np.testing.assert_array_equal(batched[0], alone[0])
    assert batched[1] == alone[1]


@pytest.mark.parametrize(("strength", "factor"), [("l2", 1.06), ("linf", 1.2)])
def test_it_reaches_the_distance_to_a_hyperplane(strength, factor):
    network, images = Halfspace(distance=0.3), gray_images(4)
    examples = run_entry(entry("hop-skip-jump", "decisions", strength, steps=10), network, images, classes=2)
    dual = network.weight.norm() if strength == "l2" else network.weight.abs().sum()
    ratio = examples[strength].to_numpy() / (network.margin(images).abs() / dual).detach().numpy()
    assert (ratio > 1 - 1e-4).all()
    assert (ratio < factor).all()


@pytest.mark.parametrize("strength", ["l2", "linf"])
def test_an_image_depends_on_itself_and_its_key_alone(strength):
    network, images, keys = QuadraticClassifier(), some_images(7), keys_of(7)
    labels, attack = decisions_of(network, images), HopSkipJump(steps=3)
    starts = torch.rand(7, 1, SIDE, SIDE, generator=torch.Generator().manual_seed(5))
    starts = torch.where((decisions_of(network, starts) != labels)[:, None, None, None], starts, images[[3]])
    kept = (decisions_of(network, starts) != labels).nonzero().flatten()
    assert len(kept) >= 5, "more than are asked about at once"

    def found(rows):
        target, log = attacked(network, images[rows], labels[rows], norm=strength)
        given = images[rows], labels[rows], starts[rows], [keys[row] for row in rows.tolist()]
        return attack.minimize(target, *given), log.queries

    together, queries = found(kept)
    assert (decisions_of(network, together) != labels[kept]).all()
    backwards, queries_backwards = found(kept.flip(0))
    assert torch.equal(backwards.flip(0), together)
    assert torch.equal(queries_backwards.flip(0), queries)
    for place in (1, 4):
        alone, queries_alone = found(kept[place : place + 1])
        assert torch.equal(alone[0], together[place])
        assert queries_alone[0] == queries[place]


def test_queries_are_those_of_directions_searches_and_jumps():
    network, images, keys = QuadraticClassifier(), some_images(3), keys_of(3)
    labels = decisions_of(network, images)
    starts = torch.stack(
        [next(other for other in images if decisions_of(network, other[None]) != label) for label in labels]
    )
    target, log = attacked(network, images, labels)
    HopSkipJump(steps=3, initial_gradient_queries=40, maximum_gradient_queries=60).minimize(
        target, images, labels, starts, keys
    )
    halvings = math.ceil(math.log2(PIXELS**1.5))
    fixed = 4 * halvings + 40 + int(40 * math.sqrt(2)) + 60
    jumps = log.queries - fixed
    assert (jumps >= 3).all()
    assert (jumps <= 3 * 24).all()


def test_the_estimated_normal_is_that_of_a_hyperplane_and_better_with_more_directions():
    """The cosine with the true normal, for n directions in D dimensions, is about sqrt(2 n / (2 n + pi D))."""
    network, images = Halfspace(distance=0.3).requires_grad_(False), gray_images(6)
    labels = decisions_of(network, images)
    oracle = attacked(network, images, labels)[0].oracle
    hunt = HopSkipJumpState(oracle, images, labels, PhiloxNoise(keys_of(6), "toy", images.device), "l2", 1.0)
    normal = network.weight / network.weight.norm()
    onto = ((network.margin(images) / network.weight.norm())[:, None] * normal).reshape(images.shape)
    on_boundary = images - onto
    away = -torch.sign(network.margin(images))
    for directions in (50, 1000):
        estimated = hunt.normal(on_boundary, 1, directions).flatten(1)
        torch.testing.assert_close(estimated.norm(dim=1), torch.ones(6))
        cosine = (estimated @ normal) * away
        expected = math.sqrt(2 * directions / (2 * directions + math.pi * PIXELS))
        assert cosine.mean().item() == pytest.approx(expected, abs=0.06)


@pytest.mark.parametrize("norm", ["l2", "linf"])
@pytest.mark.parametrize("jump", [1, 2])
@pytest.mark.parametrize("inside", [0.0, 1.0])
def test_the_estimated_normal_is_equation_16(norm, jump, inside):
    """Against numpy: from a little inside the wrong class, where most decisions are wrong, and from far inside: all."""
    network, images = Halfspace(distance=0.3).requires_grad_(False), gray_images(3)
    labels, noise = decisions_of(network, images), PhiloxNoise(keys_of(3), "toy", images.device)
    hunt = HopSkipJumpState(attacked(network, images, labels)[0].oracle, images, labels, noise, norm, gamma=30.0)
    margins = network.margin(images) / network.weight.norm()
    shift = -margins - margins.sign() * (0.01 + inside)
    found = images + (shift[:, None] * network.weight / network.weight.norm()).reshape(images.shape)
    estimated = hunt.normal(found, jump, 70)

    steps = torch.arange(70) + (jump << 32)
    drawn = noise.normal(steps, PIXELS) if norm == "l2" else 2 * noise.uniform(steps, PIXELS) - 1
    for image in range(3):
        difference = (found - images)[image].numpy().astype(float)
        distance = np.linalg.norm(difference) if norm == "l2" else np.abs(difference).max()
        # The paper's radius is the distance / D, as gamma is 1; here it is thirty times wider.
        radius = 0.1 if jump == 1 else 30 * distance / PIXELS
        total, signs, kept = 0, [], []
        for direction in drawn[:, image].numpy().astype(float):
            probe = found[image].numpy() + radius * (direction / np.linalg.norm(direction)).reshape(1, SIDE, SIDE)
            probe = np.clip(probe, 0, 1)
            wrong = decisions_of(network, torch.tensor(probe[None], dtype=torch.float32)) != labels[image]
            signs.append(1 if wrong else -1)
            kept.append((probe - found[image].numpy()) / radius)
        baseline = 0 if abs(np.mean(signs)) == 1 else np.mean(signs)
        assert (abs(np.mean(signs)) == 1) == (inside == 1)
        assert baseline > 0.1 or inside == 1
        total = sum((sign - baseline) * direction for sign, direction in zip(signs, kept, strict=True))
        expected = total / np.linalg.norm(total) if norm == "l2" else np.sign(total)
        np.testing.assert_allclose(estimated[image].numpy(), expected, atol=2e-4)


def test_bisection_ends_on_the_boundary():
    network, images = Halfspace(distance=0.3).requires_grad_(False), gray_images(5)
    labels = decisions_of(network, images)
    wrong = images + 0.2 * torch.sign(network.weight).reshape(1, SIDE, SIDE) * (1 - 2 * labels)[:, None, None, None]
    assert (decisions_of(network, wrong) != labels).all()
    for norm in ("l2", "linf"):
        oracle = attacked(network, images, labels)[0].oracle
        hunt = HopSkipJumpState(oracle, images, labels, PhiloxNoise(keys_of(5), "toy", images.device), norm, 1.0)
        found = hunt.to_boundary(wrong)
        assert (decisions_of(network, found) != labels).all()
        assert (hunt.distances(found) < hunt.distances(wrong)).all()
        assert (network.distances(found) < 2e-2 * network.distances(images)).all()

"""Our decision ensemble: closed forms on flat and curved boundaries, starts, budget, and no trace of a batch."""

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

from robustbench_pix.attacks.base import Pool
from robustbench_pix.attacks.common.philox import PhiloxNoise
from robustbench_pix.attacks.decision.decision_ensemble import (
    OTHERS,
    OTHERS_OF_A_CLASS,
    QUERIES_A_ROUND,
    QUERIES_AT_MOST,
    DecisionEnsemble,
    SphereWalk,
    nearest_others,
    on_lines,
)
from robustbench_pix.data.digits import digits
from tests.attacks.toys import (
    SIDE,
    Counting,
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


class Ball(nn.Module):
    """Class 1 within a radius of a point, class 0 elsewhere."""

    def __init__(self, centre, radius):
        super().__init__()
        self.centre, self.radius = nn.Parameter(centre), radius

    def forward(self, images):
        inside = self.radius - (images - self.centre).flatten(1).norm(dim=1)
        return torch.stack([torch.zeros_like(inside), inside], dim=1)


class Corners(nn.Module):
    """Class 1 where one pixel is dark, or where the mean is far above gray."""

    def forward(self, images):
        dark, bright = 0.3 - images[:, 0, 0, 0], images.mean(dim=(1, 2, 3)) - 0.9
        return torch.stack([torch.zeros_like(dark), torch.maximum(dark, bright)], dim=1)


def minimized(network, images, keys=None, pool=None, queries=800):
    """Return what the attack found for images, and how often each was asked about."""
    labels = decisions_of(network, images)
    pool = some_images(60, seed=9, channels=images.shape[1]) if pool is None else pool
    target, log = attacked(network, images, labels, pool=Pool(pool, decisions_of(network, pool)))
    keys = keys_of(len(images)) if keys is None else keys
    return DecisionEnsemble(queries).minimize(target, images, labels, None, keys), log


@pytest.mark.parametrize("distance", [0.1, 0.4])
def test_it_reaches_a_hyperplane_within_a_two_hundredth(distance):
    network, images = Halfspace(distance=distance).requires_grad_(False), gray_images(4)
    found, log = minimized(network, images, queries=5_000)
    ratio = (found - images).flatten(1).norm(dim=1) / network.distances(images)
    assert (ratio > 1 - 1e-4).all()
    assert (ratio < 1.005).all()
    assert ((log.best / network.distances(images)) < 1.005).all()


@pytest.mark.parametrize("radius", [0.4, 1.2])
@pytest.mark.parametrize("seed", [0, 1])
def test_it_reaches_a_sphere_from_inside_and_from_outside(radius, seed):
    centre = torch.full((1, SIDE, SIDE), 0.5)
    network = Ball(centre, radius).requires_grad_(False)
    way = torch.randn(2, 1, SIDE, SIDE, generator=torch.Generator().manual_seed(seed))
    way /= way.flatten(1).norm(dim=1)[:, None, None, None]
    images = centre + way * torch.tensor([0.6 * radius, radius + 0.3])[:, None, None, None]
    pool = torch.cat([centre[None], some_images(20)])
    found, _ = minimized(network, images, pool=pool, queries=5_000)
    expected = torch.tensor([0.4 * radius, 0.3])
    ratio = (found - images).flatten(1).norm(dim=1) / expected
    assert (ratio > 1 - 1e-4).all()
    assert (ratio < 1.01).all()


def test_an_image_of_another_class_leads_where_noise_does_not():
    """Noise is on neither side; bright images lead far away, a single dark pixel is near."""
    images = torch.full((3, 1, SIDE, SIDE), 0.5)
    near = images[:1].clone()
    near[0, 0, 0, 0] = 0.1
    pool = torch.cat([torch.ones(5, 1, SIDE, SIDE), near])
    found, _ = minimized(Corners(), images, pool=pool, queries=2_000)
    distances = (found - images).flatten(1).norm(dim=1)
    torch.testing.assert_close(distances, torch.full((3,), 0.2), atol=2e-3, rtol=0)


def test_others_are_the_nearest_of_at_most_so_many_of_a_class():
    images, pool = some_images(5), some_images(70, seed=4)
    labels, decisions = torch.tensor([0, 1, 2, 3, 0]), torch.arange(70) % 7
    chosen = nearest_others(images, labels, Pool(pool, decisions)).T
    for image, label, mine in zip(images.numpy(), labels.tolist(), chosen.tolist(), strict=True):
        order = np.argsort(np.sqrt(((pool.numpy() - image) ** 2).sum(axis=(1, 2, 3))))
        expected, counts = [], {}
        for place in order:
            kind = int(decisions[place])
            if kind != label and counts.get(kind, 0) < OTHERS_OF_A_CLASS:
                counts[kind] = counts.get(kind, 0) + 1
                expected.append(int(place))
        assert mine == expected[:OTHERS]


def test_starts_lie_just_beyond_the_boundary_on_their_lines():
    network, images = QuadraticClassifier(), some_images(6)
    labels, pool = decisions_of(network, images), some_images(60, seed=9)
    target, log = attacked(network, images, labels)
    points, distances = on_lines(target.oracle, images, labels, keys_of(6), Pool(pool, decisions_of(network, pool)))
    assert (log.queries <= QUERIES_AT_MOST).all()
    for point, distance in zip(points, distances, strict=True):
        wrong = distance.isfinite()
        assert torch.equal(decisions_of(network, point) != labels, wrong)
        step = point + 0.05 * (images - point)
        assert (decisions_of(network, step) == labels)[wrong].float().mean() > 0.8
    torch.testing.assert_close(distances[0], (points[0] - images).flatten(1).norm(dim=1))


def test_a_walk_is_always_wrong_and_never_moves_away():
    network, images = QuadraticClassifier(), some_images(5)
    labels, pool = decisions_of(network, images), some_images(60, seed=9)
    target, log = attacked(network, images, labels)
    others = torch.stack([pool[decisions_of(network, pool) != label][:2] for label in labels], dim=1)
    noise = PhiloxNoise(keys_of(5), "toy", images.device)
    walk = SphereWalk(target.oracle, images, labels, torch.arange(5), others, noise)
    for number in range(1, 31):
        before = walk.distances.clone()
        walk.round()
        assert (walk.distances <= before * (1 + 1e-6)).all()
        assert (log.queries == number * 2 * QUERIES_A_ROUND).all()
        assert (decisions_of(network, walk.points.flatten(0, 1)) != labels.repeat(2)).all()
        assert walk.points.min() >= 0
        assert walk.points.max() <= 1
    torch.testing.assert_close(walk.distances, (walk.points - images).flatten(2).norm(dim=2))
    assert (walk.distances < 0.6 * (others - images).flatten(2).norm(dim=2)).all()


@pytest.mark.parametrize("channels", [1, 3])
def test_an_image_depends_on_itself_and_its_key_alone(channels):
    images, keys = some_images(6, channels=channels), keys_of(6)
    torch.manual_seed(0)
    curved = nn.Sequential(nn.Flatten(), nn.Linear(channels * SIDE * SIDE, 9), nn.Tanh(), nn.Linear(9, 4)).double()
    network = nn.Sequential(Doubled(), curved).requires_grad_(False)
    together, log = minimized(network, images, keys)
    assert (log.best < torch.inf).all()
    again, _ = minimized(network, images, keys)
    assert torch.equal(again, together)
    others, _ = minimized(network, images, keys_of(6, seed=1))
    assert not torch.allclose(others, together)
    backwards, back = minimized(network, images.flip(0), keys[::-1])
    torch.testing.assert_close(backwards.flip(0), together, atol=1e-4, rtol=0)
    assert torch.equal(back.queries.flip(0), log.queries)
    for one in (slice(0, 1), slice(4, 5)):
        alone, asked = minimized(network, images[one], keys[one])
        torch.testing.assert_close(alone, together[one], atol=1e-4, rtol=0)
        assert torch.equal(asked.queries, log.queries[one])


class Doubled(nn.Module):
    """Float64, so that a decision does not depend on the batch it is asked in."""

    def forward(self, images):
        return images.double()


@pytest.mark.parametrize("queries", [100, 500, 2_000])
def test_it_spends_its_queries_and_no_more(queries):
    network, images = Counting(QuadraticClassifier()), some_images(4)
    labels, pool = decisions_of(network.network, images), some_images(60, seed=9)
    target, log = attacked(network, images, labels, pool=Pool(pool, decisions_of(network.network, pool)))
    DecisionEnsemble(queries).minimize(target, images, labels, None, keys_of(4))
    assert network.asked == log.queries.sum()
    assert (log.queries <= queries).all()
    assert queries < 1_000 or (log.queries > 0.9 * queries).all()


def test_an_image_without_a_start_comes_back_and_sinks_no_other():
    images = torch.stack([torch.full((1, SIDE, SIDE), 0.02), torch.full((1, SIDE, SIDE), 0.9)])
    network = Ball(images[1], 0.5).requires_grad_(False)
    found, log = minimized(network, images, pool=some_images(20))
    assert torch.equal(found[0], images[0])
    assert log.queries[0] > 100, "noise was tried a hundred times"
    assert (found[1] - images[1]).flatten().norm() < 0.55


def test_at_equal_queries_it_is_nearer_than_boundary_hop_skip_jump_and_geoda_on_a_trained_network(tmp_path):
    data = digits(tmp_path, colour="gray")
    torch.manual_seed(0)
    network = nn.Sequential(nn.Flatten(), nn.Linear(64, 32), nn.ReLU(), nn.Linear(32, 10))
    optimizer = torch.optim.Adam(network.parameters(), lr=0.01)
    inputs = data.train_images.float() / 255
    for _ in range(150):
        optimizer.zero_grad()
        functional.cross_entropy(network(inputs), data.train_labels).backward()
        optimizer.step()
    network.requires_grad_(False)
    images, labels = data.test_images.float() / 255, data.test_labels
    distances = {}
    for name, parameters in {
        "decision-ensemble": {"queries": 1_500},
        "boundary": {"steps": 5_000},
        "hop-skip-jump": {},
        "geoda": {"directions": 1_440},
    }.items():
        spec = entry(name, "decisions", "l2", **parameters)
        examples = run_entry(spec, network, images, labels, classes=10, budget=1_500, images_attacked=24)
        distances[name] = examples["l2"][examples["l2"] > 0].to_numpy()
        assert np.isfinite(distances[name]).all()
    ours = distances.pop("decision-ensemble")
    for name, theirs in distances.items():
        assert (ours / theirs).mean() < 0.98, name

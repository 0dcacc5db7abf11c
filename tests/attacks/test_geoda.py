"""Our GeoDA: its estimate, its rays and its plan of queries, each against the paper's formula."""

from itertools import pairwise

import numpy as np
import pytest
import torch

from robustbench_pix.attacks.common.philox import PhiloxNoise
from robustbench_pix.attacks.decision.geoda import GeoDA, GeoDAState
from tests.attacks.toys import (
    SIDE,
    Halfspace,
    QuadraticClassifier,
    attacked,
    decisions_of,
    entry,
    keys_of,
    run_entry,
    some_images,
)

fft = pytest.importorskip("scipy.fft")


def rays_of(network, images, norm="l2", **parameters):
    labels = decisions_of(network, images)
    target, _ = attacked(network, images, labels, norm=norm)
    noise = PhiloxNoise(keys_of(len(images)), "toy", images.device)
    return GeoDAState(GeoDA(**parameters), target.oracle, images, labels, noise, norm)


@pytest.mark.parametrize("directions", [30, 80, 1_000, 4_000, 9_600])
def test_each_estimate_gets_the_papers_share_of_the_directions(directions):
    plan = GeoDA(directions=directions).plan()
    assert abs(sum(plan) - directions) <= len(plan) / 2
    assert plan[0] <= 80
    assert plan[0] >= 40 or len(plan) == 1
    for fewer, more in pairwise(plan):
        assert more == pytest.approx(fewer * 0.6 ** (-2 / 3), abs=1.3)
    assert GeoDA(directions=200, rate=1.0).plan() == [67, 67, 67]


def test_directions_are_gaussian_in_the_low_frequencies_and_nothing_elsewhere():
    images = torch.rand(3, 2, 8, 12, generator=torch.Generator().manual_seed(0))
    rays = rays_of(torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(192, 2)), images, frequencies=5)
    drawn = rays.directions(torch.arange(200)).numpy()
    assert drawn.shape == (200, 3, 2, 8, 12)
    spectrum = fft.dctn(drawn, axes=(3, 4), norm="ortho")
    low = spectrum[..., :5, :5]
    np.testing.assert_allclose(spectrum[..., 5:, :], 0, atol=1e-5)
    np.testing.assert_allclose(spectrum[..., 5:], 0, atol=1e-5)
    assert low.std() == pytest.approx(1, abs=0.02)
    assert abs(np.corrcoef(low.reshape(200, -1)[:, [0, 1, 25, 50]].T) - np.eye(4)).max() < 0.25


def test_the_estimate_is_the_sum_of_signed_directions():
    network, images = Halfspace(distance=0.3).requires_grad_(False), 0.3 + 0.4 * some_images(3)
    rays = rays_of(network, images, sigma=0.01)
    unit = network.weight / network.weight.norm()
    distance = network.margin(images) / network.weight.norm()
    rays.found = images - ((distance + distance.sign() * 1e-3)[:, None] * unit).reshape(images.shape)
    estimate = rays.estimate(7, 100)
    drawn = rays.directions(torch.arange(7, 107)).numpy().astype(float)
    weight, bias = network.weight.numpy().astype(float), float(network.bias)
    for image in range(3):
        probes = rays.found[image].numpy() + 0.01 * drawn[:, image]
        margins = probes.reshape(100, -1) @ weight + bias
        away = (margins > 0) != (rays.labels[image].item() == 1)
        expected = (np.where(away, 1, -1)[:, None] * drawn[:, image].reshape(100, -1)).sum(axis=0)
        np.testing.assert_allclose(estimate[image].flatten().numpy(), expected, atol=1e-3)
        assert 30 < away.sum() < 80


@pytest.mark.parametrize("norm", ["l2", "linf"])
def test_with_the_true_normal_the_ray_ends_at_the_distance_to_the_hyperplane(norm):
    network, images = Halfspace(distance=0.3).requires_grad_(False), 0.3 + 0.4 * some_images(5)
    rays = rays_of(network, images, norm)
    starts = 1 - (network.weight > 0).float().reshape(1, SIDE, SIDE).expand_as(images)
    starts = torch.where((rays.labels == 1)[:, None, None, None], starts, 1 - starts)
    rays.shorten(rays.places, starts - images, torch.ones(5))
    begun = rays.distances.clone()
    normal = network.weight.reshape(1, SIDE, SIDE) * (1 - 2 * rays.labels)[:, None, None, None]
    rays.turn(normal)
    dual = network.weight.norm() if norm == "l2" else network.weight.abs().sum()
    torch.testing.assert_close(rays.distances, network.margin(images).abs() / dual, rtol=0, atol=1e-4)
    assert (rays.distances < begun).all()
    ended = rays.found.clone()
    rays.turn(-normal)
    assert torch.equal(rays.found, ended), "what crosses no nearer stays"


def test_a_ray_goes_on_along_the_faces_as_far_as_the_last_point():
    images = torch.zeros(2, 1, SIDE, SIDE)
    images[:, :, :4] = 0.5
    for norm, expected in (("l2", 0.4), ("linf", 0.4)):
        rays = rays_of(QuadraticClassifier(), images, norm)
        rays.distances = torch.tensor([0.4, 0.4])
        downwards = -torch.ones_like(images)
        points = rays._points(rays.places, downwards, rays._as_far(downwards))
        change = (images - points).flatten(1)
        assert change[:, 32:].abs().max() == 0
        length = change.norm(dim=1) if norm == "l2" else change.abs().amax(dim=1)
        torch.testing.assert_close(length, torch.full((2,), expected), atol=1e-5, rtol=0)


@pytest.mark.parametrize("strength", ["l2", "linf"])
def test_it_is_no_worse_than_hop_skip_jump_at_equal_queries(strength):
    network, images = QuadraticClassifier(), some_images(10)
    ours, theirs = (
        run_entry(entry(attack, "decisions", strength, **more), network, images, budget=2_000)["distance_at_2000"]
        for attack, more in (("geoda", {"directions": 1_850}), ("hop-skip-jump", {}))
    )
    assert np.log(ours / theirs).mean() < 0.05

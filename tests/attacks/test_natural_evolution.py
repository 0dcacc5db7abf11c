"""Our natural evolution strategies: the estimated gradient is the paper's, and so are its steps."""

import numpy as np
import pytest
import torch

from robustbench_pix.attacks.common.philox import PhiloxNoise
from robustbench_pix.attacks.score.natural_evolution import NaturalEvolution
from tests.attacks.toys import (
    SIDE,
    Halfspace,
    QuadraticClassifier,
    attacked,
    decisions_of,
    gray_images,
    keys_of,
    some_images,
)

PIXELS = SIDE * SIDE


def estimate(network, images, directions, step=0, **parameters):
    labels, rows = decisions_of(network, images), torch.arange(len(images))
    target, _ = attacked(network, images, labels, "scores")
    noise = PhiloxNoise(keys_of(len(images)), "toy", images.device)
    attack = NaturalEvolution(directions=directions, **parameters)
    return attack.gradient(target.oracle, images, labels, rows, noise, step), noise, labels


def test_on_a_linear_model_the_estimate_is_the_mean_of_the_projections_on_the_directions():
    """The log odds of two classes are the margin, so every pair of opposites gives exactly (w.u) u."""
    network, images = Halfspace(distance=0.3).requires_grad_(False), gray_images(4)
    gradient, noise, labels = estimate(network, images, 30, step=2)
    drawn = noise.normal(torch.arange(60, 90), PIXELS).numpy().astype(float)
    weight = network.weight.numpy().astype(float)
    for image in range(4):
        own = weight if labels[image] == 1 else -weight
        expected = ((drawn[:, image] @ own)[:, None] * drawn[:, image]).mean(axis=0)
        np.testing.assert_allclose(gradient[image].flatten().numpy(), expected, atol=0.05)
        assert np.linalg.norm(expected) > 5


def test_with_many_directions_it_is_the_gradient():
    """Of n pairs in D dimensions the cosine with the gradient is about sqrt(n / (n + D))."""
    network, images = QuadraticClassifier().requires_grad_(False), 0.2 + 0.6 * some_images(4)
    gradient, _, labels = estimate(network, images, 1_000)
    inputs = images.clone().requires_grad_()
    chosen = torch.log_softmax(network(inputs), dim=1).gather(1, labels[:, None]).exp()
    (true,) = torch.autograd.grad(torch.log(chosen / (1 - chosen)).sum(), inputs)
    cosine = torch.cosine_similarity(gradient.flatten(1), true.flatten(1))
    assert cosine.mean().item() == pytest.approx(np.sqrt(1_000 / 1_064), abs=0.02)
    torch.testing.assert_close((gradient * true).sum() / true.square().sum(), torch.tensor(1.0), atol=0.1, rtol=0)


def test_steps_go_down_along_the_sign_or_the_gradient_and_stay_in_the_ball():
    network, images = Halfspace(distance=3.0).requires_grad_(False), 0.4 + 0.2 * some_images(3)
    labels, keys = decisions_of(network, images), keys_of(3)
    for norm, radius in (("linf", 0.05), ("l2", 0.5)):
        points = []
        for steps in (1, 2, 12):
            target, log = attacked(network, images, labels, "scores", norm=norm)
            attack = NaturalEvolution(steps=steps, directions=40, step=0.25)
            (found,) = attack.perturb(target, images, labels, [radius], keys)
            assert (log.queries == steps * 81).all()
            change = (found - images).flatten(1)
            lengths = change.abs().amax(dim=1) if norm == "linf" else change.norm(dim=1)
            assert (lengths <= radius * (1 + 1e-4)).all()
            if steps == 1:
                torch.testing.assert_close(lengths, torch.full((3,), 0.25 * radius), rtol=1e-4, atol=0)
                assert norm == "l2" or (change.abs() - 0.25 * radius).abs().max() < 1e-6
            if steps == 12:
                torch.testing.assert_close(lengths, torch.full((3,), radius), rtol=0.02, atol=0)
            points.append(network.margin(found).abs())
        assert (points[0] < network.margin(images).abs()).all()
        assert (points[1] < points[0]).all()
        assert (points[2] < points[1]).all()


def test_momentum_keeps_the_earlier_estimates():
    network, images = Halfspace(distance=3.0).requires_grad_(False), gray_images(2)
    labels, keys = decisions_of(network, images), keys_of(2)
    target, _ = attacked(network, images, labels, "scores")
    attack = NaturalEvolution(steps=2, directions=5, step=0.05, momentum=0.7)
    (found,) = attack.perturb(target, images, labels, [1.0], keys)
    noise, rows = PhiloxNoise(keys, "natural-evolution", images.device), torch.arange(2)
    velocity, points = torch.zeros_like(images), images
    for step in range(2):
        velocity = 0.7 * velocity + attack.gradient(target.oracle, points, labels, rows, noise, step)
        points = points - 0.05 * velocity / velocity.flatten(1).norm(dim=1)[:, None, None, None]
    torch.testing.assert_close(found, points, atol=1e-5, rtol=0)


def test_an_image_that_is_fooled_asks_no_more():
    network, images = Halfspace(distance=0.3).requires_grad_(False), 0.4 + 0.2 * some_images(6)
    labels = decisions_of(network, images)
    target, log = attacked(network, images, labels, "scores", norm="linf")
    closest = network.margin(images).abs() / network.weight.abs().sum()
    (found,) = NaturalEvolution(steps=15).perturb(target, images, labels, [float(closest.median())], keys_of(6))
    fooled = decisions_of(network, found) != labels
    assert (log.queries % 31 == 0).all()
    asked_all = log.queries == 15 * 31
    assert 0 < asked_all.sum() < 6
    assert (asked_all | fooled).all()
    assert (fooled <= (closest < closest.median())).all()

"""Our pointwise attack: the closed form on boundaries along the axes, nothing left to move, as good as foolbox's."""

import numpy as np
import torch
from torch import nn

from robustbench_pix.attacks.decision.pointwise import Pointwise
from tests.attacks.toys import (
    SIDE,
    Halfspace,
    QuadraticClassifier,
    attacked,
    entry,
    gray_images,
    keys_of,
    run_entry,
    some_images,
)


class Thresholds(nn.Module):
    """Wrong where one of two values is large: only one of them need move, the other changes and all others are free."""

    places, limits = (5, 40), (0.8, 0.9)

    def forward(self, images):
        flat = images.flatten(1)
        wrong = torch.stack([flat[:, place] - limit for place, limit in zip(self.places, self.limits, strict=True)])
        return torch.stack([torch.zeros(len(images)), wrong.amax(dim=0)], dim=1)


def retreated(network, images, starts, seed=0):
    labels = network(images).argmax(dim=1)
    target, log = attacked(network, images, labels)
    found = Pointwise().minimize(target, images, labels, starts, keys_of(len(images), seed=seed))
    assert (network(found).argmax(dim=1) != labels).all()
    return found, log.queries


def test_one_value_is_left_where_one_suffices_and_it_lies_at_the_threshold():
    network, images = Thresholds(), 0.5 * some_images(12)
    found, _ = retreated(network, images, torch.ones_like(images))
    differs = (found != images).flatten(1)
    assert (differs.sum(dim=1) == 1).all()
    places = differs.int().argmax(dim=1)
    assert set(places.tolist()) == set(Thresholds.places), "the order is random"
    limits = torch.tensor(Thresholds.limits)[(places == 40).long()]
    values = found.flatten(1).gather(1, places[:, None]).flatten()
    assert (values > limits).all()
    assert (values - limits <= 1e-3).all(), "ten halvings of at most 1"


def test_what_needs_no_value_to_change_is_the_image_after_one_query_a_value():
    class Never(nn.Module):
        def forward(self, images):
            return torch.tensor([[1.0, 0.0]]).expand(len(images), 2)

    images = some_images(3)
    target, log = attacked(Never(), images, torch.ones(3, dtype=torch.int64))
    starts = images.clone()
    starts[:, :, 2:] = 1.0
    found = Pointwise().minimize(target, images, log.labels, starts, keys_of(3))
    assert torch.equal(found, images)
    assert log.queries.tolist() == [6 * SIDE] * 3


def test_no_single_value_can_be_set_back():
    network, images = Halfspace(distance=0.3).requires_grad_(False), gray_images(4)
    towards = (
        torch.where(network.weight > 0, 1.0, -1.0).reshape(1, SIDE, SIDE)
        * -network.margin(images).sign()[:, None, None, None]
    )
    found, queries = retreated(network, images, (images + 0.2 * towards).clamp(0, 1))
    weight, margins = network.weight.numpy().astype(float), network.margin(images).numpy()
    for image in range(4):
        change = (found - images)[image].flatten().numpy().astype(float)
        slack = -(margins[image] + weight @ change) * np.sign(margins[image])
        gained = -weight * change * np.sign(margins[image])
        assert slack >= -1e-4
        assert (gained[change != 0] > slack).all()
        assert 0 < (change != 0).sum() < 40
        # Bisection leaves at most the last halving of the value that was moved last.
        assert slack < 0.2 * np.abs(weight).max() * 2**-9
    assert (queries > 64).all()


def test_a_start_without_a_free_value_keeps_it_moved_least():
    """One value differs and is needed: one query to learn it, then ten halvings a pass until a pass gains nothing."""
    network, images = Thresholds(), 0.5 * some_images(1)
    starts = images.clone()
    starts.flatten(1)[:, 5] = 1.0
    found, queries = retreated(network, images, starts)
    value, clean = found.flatten()[5].item(), images.flatten()[5].item()
    step = (1 - clean) / 2**10
    assert 0.8 < value <= 0.8 + step
    assert queries.item() in (1 + 11, 1 + 2 * 11, 1 + 3 * 11)


def test_it_is_as_near_as_foolboxs():
    network, images = QuadraticClassifier(), some_images(12)
    ours, theirs = (
        run_entry(entry(name), network, images)["l2"].to_numpy() for name in ("pointwise", "foolbox:PointwiseAttack")
    )
    assert np.isfinite(theirs).all()
    assert abs(np.log(ours / theirs).mean()) < 0.05


def test_every_pass_has_an_order_of_its_own():
    """Where all values are needed, the first pass sets none back, and the second bisects each."""
    asked = []

    class AllNeeded(nn.Module):
        def forward(self, images):
            asked.append(images.flatten().clone())
            return torch.stack([torch.zeros(len(images)), images.flatten(1).amin(dim=1) - 0.5], dim=1)

    images = 0.4 * some_images(1)
    found, _ = retreated(AllNeeded(), images, torch.ones_like(images))
    assert (found - 0.5).abs().max() <= 2**-10
    queries = torch.stack(asked[1:])
    first = queries[:64].argmin(dim=1).tolist()
    bisected = [query.argmin().item() for query in queries[64:] if query.min() == images.flatten()[query.argmin()]]
    assert sorted(first) == sorted(bisected[:64]) == list(range(64))
    assert first != bisected[:64]

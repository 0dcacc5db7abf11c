"""What the benchmark of strength counts, on a network whose distances have a closed form."""

import pytest
import torch
from torch import nn

from benchmarks.strength import _ratios
from benchmarks.strength_rivals import ensemble
from benchmarks.strength_victims import Subject
from benchmarks.strength_ways import harness, library, smallest_known

SIDE, ATTACKED = 4, 5


@pytest.fixture(scope="module")
def linear():
    """A linear network of ten classes, of which all but two are never chosen, and the distances to its boundary."""
    network, random = nn.Sequential(nn.Flatten(), nn.Linear(SIDE**2, 10)), torch.Generator().manual_seed(0)
    images = 0.3 + 0.4 * torch.rand(40, 1, SIDE, SIDE, generator=random)
    weight = torch.randn(SIDE**2, generator=random)
    with torch.no_grad():
        network[1].weight.zero_()
        network[1].weight[1] = weight
        network[1].bias.fill_(-1e6)
        network[1].bias[0], network[1].bias[1] = 0.0, -0.5 * weight.sum()
    network.eval().requires_grad_(False)
    labels = network(images).argmax(dim=1)
    assert len(set(labels.tolist())) == 2
    distances = (images.flatten(1) @ weight - 0.5 * weight.sum()).abs() / weight.norm()
    return Subject("linear", network, images, labels, ATTACKED, {"linf": 0.05, "l2": 0.05}), distances[:ATTACKED]


def test_the_smallest_known_distances_are_those_of_the_closed_form(linear):
    subject, distances = linear
    found = smallest_known(subject, steps=100)
    assert (found >= distances * 0.9999).all()
    assert (found - distances < 0.002).all()


def test_a_search_has_its_budget_and_a_ratio_of_one_at_the_boundary(linear):
    subject, distances = linear
    found = ensemble(400).run(subject)
    assert found.queries <= 400
    ratios = _ratios(found.distances / distances)
    assert 0.9999 < ratios["mean ratio"] <= ratios["largest ratio"] < 1.3


def test_a_step_to_the_radius_takes_what_lies_within_it(linear):
    subject, distances = linear
    for way in (harness("projected-gradient", "gradients", "l2", None, steps=5), library("l2", _step)):
        found = way(subject)
        assert found.robust.tolist() == (distances > subject.radii["l2"]).tolist()
        assert 0 < found.robust.sum() < ATTACKED


def test_what_leaves_the_ball_or_changes_nothing_counts_for_nothing(linear):
    subject, _ = linear
    for change in (torch.zeros(()), torch.ones(())):
        found = library("l2", lambda model, radius, change=change: lambda images, labels: images + change)(subject)
        assert found.robust.all()
        assert found.queries == 0


def _step(model, radius):
    def run(images, labels):
        images = images.requires_grad_()
        (gradient,) = torch.autograd.grad(nn.functional.cross_entropy(model(images), labels), images)
        return images + radius * gradient / gradient.flatten(1).norm(dim=1).view(-1, 1, 1, 1)

    return run

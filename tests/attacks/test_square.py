"""Our Square attack: inside its ball, never worse for a query, the toolbox's success, and no trace of the batch."""

import math

import numpy as np
import pytest
import torch
from torch import nn

from robustbench_pix.attacks.score.square import SphereChanges, SquareAttack, bumps
from tests.attacks.toys import SIDE, QuadraticClassifier, attacked, decisions_of, entry, keys_of, run_entry, some_images

RADII = {"linf": (0.03, 0.1, 0.2), "l2": (0.3, 0.8, 1.5)}
NORMS = sorted(RADII)


class Asked(nn.Module):
    """A model that remembers what it was asked and what it answered."""

    def __init__(self, network):
        super().__init__()
        self.network, self.inputs, self.scores = network, [], []

    def forward(self, images):
        self.inputs.append(images.clone())
        self.scores.append(self.network(images))
        return self.scores[-1]


def searched(network, images, labels, norm, radius, steps, keys=None):
    """Return what one search found, and the queries of each image."""
    target, log = attacked(network, images, labels, "scores", norm=norm)
    keys = keys_of(len(images)) if keys is None else keys
    (found,) = SquareAttack(steps).perturb(target, images, labels, [radius], keys)
    return found, log.queries


def norm_of(difference, norm):
    return difference.flatten(1).abs().amax(dim=1) if norm == "linf" else difference.flatten(1).norm(dim=1)


def margin(scores, labels):
    others = scores.clone()
    others[torch.arange(len(labels)), labels] = -np.inf
    return scores[torch.arange(len(labels)), labels] - others.amax(dim=1)


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("norm", NORMS)
def test_every_query_is_inside_the_ball_and_the_bounds(norm, channels):
    images = some_images(5, channels=channels)
    network = Asked(nn.Sequential(nn.Flatten(), nn.Linear(channels * SIDE * SIDE, 3)).requires_grad_(False))
    for radius in RADII[norm]:
        network.inputs = []
        # A label that cannot be left: every query is made.
        network.network[1].bias.copy_(torch.tensor([1e3, 0.0, 0.0]))
        searched(network, images, torch.zeros(5).long(), norm, radius, 60)
        queries = torch.stack(network.inputs)
        assert len(queries) == 60
        assert queries.min() >= 0
        assert queries.max() <= 1
        lengths = torch.stack([norm_of(query - images, norm) for query in queries])
        assert lengths.max() <= radius * (1 + 1e-5) + 1e-6
        assert lengths.median() > 0.5 * radius
        assert len(queries.flatten(2).unique(dim=0)) > 50


@pytest.mark.parametrize("norm", NORMS)
def test_what_is_returned_has_the_smallest_margin_asked_about_or_fools(norm):
    images = some_images(8)
    network = Asked(QuadraticClassifier())
    labels = decisions_of(network.network, images)
    ends = []
    for index in range(8):
        one, key = slice(index, index + 1), keys_of(8)[index : index + 1]
        network.inputs, network.scores = [], []
        found, queries = searched(network, images[one], labels[one], norm, RADII[norm][0], 40, key)
        margins = torch.stack([margin(scores, labels[one])[0] for scores in network.scores])
        assert queries.item() == len(margins)
        fooled = margins < 0
        # Asking ends with the first query that fools, and that is returned.
        assert fooled.nonzero().flatten().tolist() in ([], [len(margins) - 1])
        assert len(margins) == 40 or fooled[-1]
        assert torch.equal(found, network.inputs[int(margins.argmin())])
        ends.append(bool(fooled[-1]))
    assert set(ends) == {False, True}


def test_the_first_query_is_stripes_and_each_other_adds_one_square_to_the_best_so_far():
    images = 0.3 + 0.4 * some_images(1, channels=3)
    network = Asked(nn.Sequential(nn.Flatten(), nn.Linear(3 * SIDE * SIDE, 2)).requires_grad_(False))
    network.network[1].bias.copy_(torch.tensor([1e3, 0.0]))
    searched(network, images, torch.zeros(1).long(), "linf", 0.1, 200)
    signs = torch.stack([(query - images)[0] / 0.1 for query in network.inputs])
    torch.testing.assert_close(signs.abs(), torch.ones_like(signs), atol=1e-4, rtol=0)
    stripes = signs[0].round()
    assert (stripes == stripes[:, :1]).all()
    assert len(stripes.unique()) == 2
    best, smallest, corners = stripes, margin(network.scores[0], torch.zeros(1).long()), []
    attack = SquareAttack(200)
    for step in range(1, 200):
        tried, side = signs[step].round(), attack.side(step, SIDE, SIDE, "linf")
        where = (tried != best).any(dim=0).nonzero()
        if len(where):
            (top, left), (bottom, right) = where.amin(dim=0).tolist(), where.amax(dim=0).tolist()
            assert max(bottom - top, right - left) < side
            corners += [(bottom, right)]
        now = margin(network.scores[step], torch.zeros(1).long())
        if now < smallest:
            best, smallest = tried, now
    assert {bottom for bottom, _ in corners} >= {SIDE - 1}, "squares reach the last row"
    assert {right for _, right in corners} >= {SIDE - 1}, "and the last column"


@pytest.mark.parametrize(("norm", "strengths"), [("linf", (0.0, 0.05, 0.08)), ("l2", (0.0, 0.6, 1.0))])
def test_it_fools_as_often_as_the_toolboxs_with_as_many_queries(norm, strengths):
    """The toolbox asks three times a step, so it gets a third of them; its l2 needs images of at least 10 pixels."""
    network, images = (
        QuadraticClassifier(side=12),
        torch.rand(12, 1, 12, 12, generator=torch.Generator().manual_seed(0)),
    )
    ours = run_entry(entry("square", "scores", norm, steps=120), network, images, strengths=strengths)
    theirs = run_entry(entry("art:SquareAttack", "scores", norm, max_iter=40), network, images, strengths=strengths)
    right = [examples.groupby("strength")["correct"].mean().to_numpy() for examples in (ours, theirs)]
    assert right[0][0] == right[1][0] == 1
    assert not ours["failed"].any()
    assert (right[0] <= right[1]).all()
    assert right[0].sum() < right[1].sum()


@pytest.mark.parametrize("norm", NORMS)
def test_an_image_depends_on_itself_and_its_key_alone(norm):
    network, images, keys = QuadraticClassifier(), some_images(9), keys_of(9)
    labels = decisions_of(network, images)
    radius = {"linf": 0.06, "l2": 0.4}[norm]
    together, queries = searched(network, images, labels, norm, radius, 60)
    assert len(queries.unique()) > 2, "images leave at different times"
    backwards, queries_backwards = searched(network, images.flip(0), labels.flip(0), norm, radius, 60, keys[::-1])
    assert torch.equal(backwards.flip(0), together)
    assert torch.equal(queries_backwards.flip(0), queries)
    for place in (0, 5):
        one = slice(place, place + 1)
        alone, queries_alone = searched(network, images[one], labels[one], norm, radius, 60, keys[one])
        assert torch.equal(alone, together[one])
        assert queries_alone[0] == queries[place]


def test_strength_0_is_the_image_and_asks_nothing():
    network, images = QuadraticClassifier(), some_images(3)
    labels = decisions_of(network, images)
    target, log = attacked(network, images, labels, "scores", norm="linf")
    results = SquareAttack(20).perturb(target, images, labels, [0.0, 0.1], keys_of(3))
    assert torch.equal(next(results), images)
    assert (log.queries == 0).all()
    assert not torch.equal(next(results), images)


def test_squares_shrink_as_in_the_paper():
    """Of 10,000 steps, section 4.1: the share is halved after 10, 50, 200, 500, 1000, 2000, 4000, 6000 and 8000."""
    attack, shares = SquareAttack(10_000), {}
    for step in (0, 10, 11, 50, 51, 200, 201, 501, 1001, 2001, 4001, 6001, 8001, 9999):
        shares[step] = attack.side(step, 224, 224, "linf")
    halvings = [0, 0, 1, 1, 2, 2, 3, 4, 5, 6, 7, 8, 9, 9]
    assert list(shares.values()) == [round(math.sqrt(0.8 / 2**power) * 224) for power in halvings]
    assert SquareAttack(1_000).side(5, 224, 224, "linf") == shares[50]
    assert SquareAttack(100).side(99, 8, 8, "linf") == 1
    assert SquareAttack(100, initial_share=1.0).side(0, 32, 64, "linf") == 32


def test_in_l2_windows_stay_as_large_as_in_a_search_of_10000_queries():
    """Smaller too early, it leaves a tenth more images robust: so the schedule is not stretched to fewer queries."""
    for step in (0, 50, 201, 999):
        expected = SquareAttack(10_000).side(step, 224, 224, "linf")
        assert SquareAttack(1_000).side(step, 224, 224, "l2") == expected
        assert SquareAttack(10_000).side(step, 224, 224, "l2") == expected


def test_mass_is_moved_between_windows_as_in_the_paper():
    """Algorithm 3 by hand, image by image: windows at given places, a ball that is not full."""
    images = 0.3 + 0.4 * some_images(3, channels=2)
    changes, side, radius = SphereChanges(images, 0.5), 3, 0.5
    change = 0.02 * torch.randn(images.shape, generator=torch.Generator().manual_seed(1))
    drawn = torch.rand(3, changes.draws, generator=torch.Generator().manual_seed(2))
    found = changes.next(torch.arange(3), images + change, drawn, side)
    for image in range(3):
        delta, numbers = change[image].numpy().astype(float), drawn[image].numpy()
        places = [int(number * (SIDE - side + 1)) for number in numbers[:4]]
        to, source = ((slice(top, top + side), slice(left, left + side)) for top, left in (places[:2], places[2:]))
        union = np.zeros((SIDE, SIDE), dtype=bool)
        union[to] = union[source] = True
        budget = (delta[:, union] ** 2).sum() + max(radius**2 - (delta**2).sum(), 0) * np.array([0.5, 0.5])
        after = delta.copy()
        after[:, source[0], source[1]] = 0
        bump = bumps(side, torch.device("cpu")).numpy()
        bump = bump.T if numbers[4] < 0.5 else bump
        for channel in range(2):
            old = delta[channel][to]
            new = bump * (-1 if numbers[5 + channel] < 0.5 else 1) + old / np.linalg.norm(old)
            after[channel][to] = new / np.linalg.norm(new) * np.sqrt(budget[channel])
        expected = np.clip(images[image].numpy() + radius * after / np.linalg.norm(after), 0, 1)
        np.testing.assert_allclose(found[image].numpy(), expected, atol=1e-5)


@pytest.mark.parametrize("side", [1, 2, 3, 5, 8, 11])
def test_a_bump_is_the_papers(side):
    """Rectangles around the two centres, each weighted by 1 over its number squared, added up one by one."""
    expected = np.zeros((side, side))
    top = 0
    for height, sign in ((side // 2, 1), (side - side // 2, -1)):
        half = np.zeros((height, side))
        for number in range(max(height // 2, side // 2) + 1):
            for row in range(height):
                for column in range(side):
                    if abs(row - height // 2) <= number and abs(column - side // 2) <= number:
                        half[row, column] += 1 / (number + 1) ** 2
        if height:
            expected[top : top + height] = sign * half / np.linalg.norm(half)
        top += height
    expected /= np.linalg.norm(expected)
    np.testing.assert_allclose(bumps(side, torch.device("cpu")).numpy(), expected, atol=1e-6)

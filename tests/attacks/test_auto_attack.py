"""AutoAttack: its parts against the authors' code (where it is installed), closed forms, and no trace of the batch."""

import numpy as np
import pytest
import torch
from torch import nn

from robustbench_pix.attacks.common.losses import cross_entropy, logit_difference, targeted_ratio
from robustbench_pix.attacks.common.norms import Ball, distances
from robustbench_pix.attacks.common.philox import PhiloxNoise
from robustbench_pix.attacks.gradient import auto_attack
from robustbench_pix.attacks.gradient.apgd import ActiveImages, ascend
from robustbench_pix.attacks.gradient.auto_attack import AutoAttack
from robustbench_pix.attacks.gradient.fab import nearest
from robustbench_pix.attacks.gradient.projected_gradient import ProjectedGradient
from robustbench_pix.attacks.querying.oracle import Oracle
from tests.attacks.toys import (
    Counting,
    Halfspace,
    QuadraticClassifier,
    attacked,
    decisions_of,
    gray_images,
    keys_of,
    some_images,
    tiny_network,
)

NORMS = ["linf", "l2"]
QUICK = {"steps": 12, "targets": 3, "queries": 60}


class Asked(nn.Module):
    """Remembers the queries of each image: images are asked about in their order, those that have left but once."""

    def __init__(self, network):
        super().__init__()
        self.network, self.inputs, self.rows = network, [], []

    def forward(self, inputs, rows=None):
        self.inputs.append(inputs.detach().clone())
        self.rows.append(torch.arange(len(inputs)) if rows is None else rows)
        return self.network(inputs)

    def select(self, row):
        return torch.stack(
            [inputs[rows == row][0] for inputs, rows in zip(self.inputs, self.rows, strict=True) if (rows == row).any()]
        )


def victims_of(network, images, labels, norm, radius, targets=None):
    """Return victims whose oracle is the network itself, where it takes rows."""
    oracle = network if isinstance(network, Asked) else Oracle(network, "gradients", None)
    rows = torch.arange(len(images))
    return ActiveImages(oracle, Ball(images, radius, norm), labels, labels if targets is None else targets, rows)


def perturbed(network, images, labels, norm, strength, keys=None, **parameters):
    """Return the images at one strength, and the queries of each."""
    target, log = attacked(network, images, labels, "gradients", norm=norm)
    keys = keys_of(len(images)) if keys is None else keys
    (found,) = AutoAttack(**(QUICK | parameters)).perturb(target, images, labels, [strength], keys)
    return found, log.queries


@pytest.mark.parametrize("loss", [cross_entropy, targeted_ratio])
@pytest.mark.parametrize(("norm", "radius"), [("linf", 0.15), ("l2", 0.8)])
@pytest.mark.parametrize("network", [QuadraticClassifier(), tiny_network()])
def test_apgd_walks_as_the_authors_does_from_the_same_start(network, norm, radius, loss):
    """Point after point, until the image is fooled; where it is not, the best point of all is the same."""
    reference = pytest.importorskip("pyautoattack.autopgd_base")
    images, norms = some_images(12), {"linf": "Linf", "l2": "L2"}
    with torch.no_grad():
        ranked = network(images).argsort(dim=1, descending=True)
    labels, targets = ranked[:, 0], ranked[:, 2]
    ball = Ball(images, radius, norm)
    starts = ball.surface(PhiloxNoise(keys_of(12), "test", images.device), 0)
    asked, other = Asked(network), Asked(network)
    points, fooled = ascend(victims_of(asked, images, labels, norm, radius, targets), starts, loss, 40)

    make = reference.APGDAttack if loss is cross_entropy else reference.APGDAttack_targeted
    attack = make(other, n_iter=40, norm=norms[norm], eps=radius, device="cpu")
    attack.init_hyperparam(images)
    attack.y_target = targets
    best, kept, _, _ = attack.attack_single_run(images, labels, x_init=starts)
    assert fooled.tolist() == (kept == 0).tolist()
    assert set(fooled.tolist()) == {True, False}
    # They divide a gradient by its length and 1e-12, which matters where it is tiny.
    tolerance = 1e-5 if norm == "linf" else 5e-4
    for row in range(12):
        ours, theirs = asked.select(row), other.select(row)
        torch.testing.assert_close(ours, theirs[: len(ours)], atol=tolerance, rtol=0)
        assert len(ours) == 41 or fooled[row]
        torch.testing.assert_close(points[row], ours[-1] if fooled[row] else best[row], atol=tolerance, rtol=0)


@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize("network", [QuadraticClassifier(), tiny_network()])
def test_fab_walks_as_the_authors_does_and_finds_as_near_points(network, norm):
    reference = pytest.importorskip("pyautoattack.fab_pt")
    images, norms = some_images(12), {"linf": "Linf", "l2": "L2"}
    with torch.no_grad():
        ranked = network(images).argsort(dim=1, descending=True)
    labels, asked, other = ranked[:, 0], Asked(network), Asked(network)
    found, distance = nearest(victims_of(asked, images, labels, norm, 1.0, ranked[:, 1]), 20, near_enough=0.0)
    attack = reference.FABAttack_PT(other, norm=norms[norm], n_iter=20, targeted=True, device="cpu")
    attack.target_class = 2
    expected = attack.attack_single_run(images, labels, is_targeted=True)
    # It asks about the images twice beforehand.
    torch.testing.assert_close(asked.inputs, other.inputs[2:], atol=1e-3, rtol=0)
    lengths = [distances(points - images, norm) for points in (found, expected)]
    torch.testing.assert_close(*lengths, atol=1e-4, rtol=1e-3)
    assert distance.isfinite().sum() > 8


@pytest.mark.parametrize("norm", NORMS)
def test_the_whole_leaves_as_many_images_as_the_authors(norm):
    reference = pytest.importorskip("pyautoattack")
    network, images, counts = QuadraticClassifier(), some_images(40), []
    labels = decisions_of(network, images)
    for radius in {"linf": (0.02, 0.05), "l2": (0.2, 0.5)}[norm]:
        found, _ = perturbed(network, images, labels, norm, radius, steps=100, targets=9, queries=100)
        attack = reference.AutoAttack(
            network, norm={"linf": "Linf", "l2": "L2"}[norm], eps=radius, version="custom", seed=0,
            attacks=["apgd-ce", "apgd-t", "fab-t"],
        )  # fmt: skip
        attack.apgd.n_restarts = attack.fab.n_restarts = 1
        attack.apgd_targeted.n_target_classes = attack.fab.n_target_classes = 3
        expected, _ = attack.run_standard_evaluation(images, labels)
        right = [(decisions_of(network, points) == labels).sum().item() for points in (found, expected)]
        assert abs(right[0] - right[1]) <= 1
        counts += right
    assert 0 < min(counts) < max(counts) < 40


@pytest.mark.parametrize("norm", NORMS)
def test_fab_comes_close_to_the_closed_form(norm):
    """For a halfspace |w.x + b| over the dual norm of w."""
    network, images = Halfspace(), gray_images(8)
    labels = decisions_of(network, images)
    expected = network.margin(images).detach().abs() / network.weight.norm(p=1 if norm == "linf" else 2)
    found, distance = nearest(victims_of(network, images, labels, norm, 1.0, 1 - labels), 30, near_enough=0.0)
    assert (decisions_of(network, found) != labels).all()
    torch.testing.assert_close(distance, distances(found - images, norm))
    assert (distance >= expected * (1 - 1e-4)).all()
    assert (distance <= expected * 1.06).all()


def test_fab_stops_at_a_point_that_is_near_enough():
    network, images = Counting(Halfspace()), gray_images(8)
    labels = decisions_of(network.network, images)
    network.asked = 0
    _, distance = nearest(victims_of(network, images, labels, "l2", 1.0, 1 - labels), 30, near_enough=10.0)
    assert network.asked == 8 * 2
    assert (distance < 10).all()


def test_the_targeted_loss_is_the_papers_and_of_fewer_than_four_classes_the_difference():
    logits = torch.randn(20, 7, generator=torch.Generator().manual_seed(0))
    labels, targets = torch.arange(20) % 7, (torch.arange(20) + 3) % 7
    expected = []
    for row, label, target in zip(logits.numpy().astype(float), labels, targets, strict=True):
        ranked = np.sort(row)[::-1]
        expected.append(-(row[label] - row[target]) / (ranked[0] - (ranked[2] + ranked[3]) / 2))
    torch.testing.assert_close(targeted_ratio(logits, labels, targets), torch.tensor(expected).float())
    few = logits[:, :3], labels % 3, (labels + 1) % 3
    assert torch.equal(targeted_ratio(*few), logit_difference(*few))
    hand = [row[(label + 1) % 3] - row[label % 3] for row, label in zip(logits, labels, strict=True)]
    torch.testing.assert_close(targeted_ratio(*few), torch.stack(hand))


@pytest.mark.parametrize("norm", NORMS)
def test_on_a_halfspace_it_fools_from_the_closed_form_distance_on(norm):
    """Of two classes, so that the targeted ratio is the difference."""
    network, images = Halfspace(), gray_images(6)
    labels = decisions_of(network, images)
    smallest = network.margin(images).detach().abs() / network.weight.norm(p=1 if norm == "linf" else 2)
    for row in range(6):
        one = slice(row, row + 1)
        for share, fools in ((0.99, False), (1.01, True)):
            radius = (share * smallest[row]).item()
            found, _ = perturbed(network, images[one], labels[one], norm, radius, steps=30)
            assert (decisions_of(network, found) != labels[one]).item() == fools
            assert distances(found - images[one], norm).item() <= radius * (1 + 1e-4)


@pytest.mark.parametrize("norm", NORMS)
def test_an_image_depends_on_itself_and_its_key_alone(norm):
    network, images, keys = QuadraticClassifier(), some_images(12), keys_of(12)
    labels, radius = decisions_of(network, images), {"linf": 0.03, "l2": 0.15}[norm]
    together, queries = perturbed(network, images, labels, norm, radius, keys)
    assert len(queries.unique()) >= 3, "images leave at different times"
    backwards, queries_backwards = perturbed(network, images.flip(0), labels.flip(0), norm, radius, keys[::-1])
    assert torch.equal(backwards.flip(0), together)
    assert torch.equal(queries_backwards.flip(0), queries)
    for place in (0, 5):
        one = slice(place, place + 1)
        alone, queries_alone = perturbed(network, images[one], labels[one], norm, radius, keys[one])
        assert torch.equal(alone, together[one])
        assert queries_alone[0] == queries[place]


def test_an_image_that_nothing_fools_is_asked_about_by_all_four_and_returned():
    network, images = Counting(Halfspace(distance=1.0)), gray_images(3)
    found, queries = perturbed(network, images, torch.ones(3).long(), "l2", 0.01)
    # The image; APGD twice, for the cross-entropy and the only other class; FAB; Square.
    assert queries.tolist() == [1 + 2 * 13 + 2 * 12 + 60] * 3
    assert network.asked == queries.sum()
    assert torch.equal(found, images)


def test_a_wrong_image_is_returned_after_one_query_and_strength_0_asks_nothing():
    network, images = QuadraticClassifier(), some_images(3)
    labels = (decisions_of(network, images) + 1) % 4
    target, log = attacked(network, images, labels, "gradients", norm="linf")
    results = AutoAttack(**QUICK).perturb(target, images, labels, [0.0, 0.1], keys_of(3))
    assert torch.equal(next(results), images)
    assert (log.queries == 0).all()
    assert torch.equal(next(results), images)
    assert (log.queries == 1).all()


@pytest.mark.parametrize("missing", [[], ["ascend"], ["ascend", "nearest"]])
def test_every_part_alone_fools_and_what_it_finds_is_inside_the_ball(missing, monkeypatch):
    def ascend(victims, starts, *_):
        return starts, torch.zeros_like(victims.labels, dtype=torch.bool)

    def nearest(victims, *_, near_enough):
        return victims.ball.images, torch.full_like(victims.labels, torch.inf, dtype=torch.float32)

    for name in missing:
        monkeypatch.setattr(auto_attack, name, {"ascend": ascend, "nearest": nearest}[name])
    network, images, radius = QuadraticClassifier(), some_images(20), 0.07
    labels = decisions_of(network, images)
    found, _ = perturbed(network, images, labels, "linf", radius)
    fooled = decisions_of(network, found) != labels
    assert 5 < fooled.sum() < 20
    assert distances(found - images, "linf").max() <= radius * (1 + 1e-5)
    assert torch.equal(found[~fooled], images[~fooled])


def test_it_finds_more_than_projected_gradients_where_logits_saturate():
    """Logits of a thousandfold scale leave no gradient of the cross-entropy in float32."""

    class Loud(nn.Module):
        def forward(self, images):
            return 1000 * (quiet(images))

    quiet, images = QuadraticClassifier(), some_images(20)
    labels, fooled = decisions_of(quiet, images), []
    target, _ = attacked(Loud(), images, labels, "gradients", norm="linf")
    for attack in (ProjectedGradient(20), AutoAttack(steps=20, targets=3, queries=1)):
        (found,) = attack.perturb(target, images, labels, [0.06], keys_of(20))
        fooled.append((decisions_of(quiet, found) != labels).sum().item())
    assert fooled[1] > 2 * fooled[0]

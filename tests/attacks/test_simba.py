"""Our SimBA: step by step the paper's algorithm 1, its bases, and the toolbox's distances with the same step."""

import numpy as np
import pytest
import torch
from torch import nn

from robustbench_pix.attacks.common.philox import PhiloxNoise
from robustbench_pix.attacks.score.simba import Directions, SimBA
from tests.attacks.toys import SIDE, QuadraticClassifier, attacked, decisions_of, entry, keys_of, run_entry, some_images

fft = pytest.importorskip("scipy.fft")


class Asked(nn.Module):
    """A model that remembers what it was asked."""

    def __init__(self, network):
        super().__init__()
        self.network, self.inputs = network, []

    def forward(self, images):
        self.inputs.append(images.clone())
        return self.network(images)


def test_pixel_directions_are_the_single_values():
    images = torch.zeros(30, 3, 2, 5)
    directions = Directions(SimBA(), images)
    assert directions.count == 30
    torch.testing.assert_close(directions.select(torch.arange(30)).flatten(1), torch.eye(30))


def test_cosine_directions_are_the_low_frequencies_of_single_channels():
    images = torch.zeros(2 * 3 * 4, 2, 3, 10)
    directions = Directions(SimBA(basis="dct", frequencies=4), images)
    assert directions.count == 2 * 3 * 4, "no more than there are in three rows"
    spectrum = fft.dctn(directions.select(torch.arange(24)).numpy(), axes=(2, 3), norm="ortho")
    expected = np.eye(24).reshape(24, 2, 3, 4)
    np.testing.assert_allclose(spectrum[..., :4], expected, atol=1e-6)
    np.testing.assert_allclose(spectrum[..., 4:], 0, atol=1e-6)


@pytest.mark.parametrize("radius", [0.25, 3.0])
def test_it_walks_as_algorithm_1_does(radius):
    """By hand with numpy, from the same order: plus, then minus, what lowers the probability is kept, within a ball."""
    images, steps = some_images(1, seed=3), 100
    network = Asked(QuadraticClassifier(seed=2))
    label = decisions_of(network.network, images)
    network.inputs = []
    target, _ = attacked(network, images, label, "scores")
    attack = SimBA(steps=steps, step=0.15)
    (found,) = attack.perturb(target, images, label, [radius], keys_of(1))
    noise = PhiloxNoise(keys_of(1), "simba", images.device)
    order = [place for first in (0, 64) for place in noise.uniform(torch.tensor([first]), 64)[0, 0].argsort().tolist()]

    def probability(point):
        with torch.no_grad():
            scores = network.network(torch.tensor(point, dtype=torch.float32).reshape(images.shape)).double()
        return torch.softmax(scores, dim=1)[0, label].item(), int(scores.argmax()) != label.item()

    clean = images.flatten().numpy().astype(float)
    point, asked = clean.copy(), [clean]
    smallest, fooled = probability(clean)
    for place in order[:steps]:
        for sign in (1, -1):
            tried = point.copy()
            tried[place] += sign * 0.15 * radius
            change = tried - clean
            tried = np.clip(clean + change * min(1, radius / np.linalg.norm(change)), 0, 1)
            asked.append(tried)
            now, fooled = probability(tried)
            if now < smallest:
                point, smallest = tried, now
                break
        if fooled:
            break
    theirs = torch.cat(network.inputs).flatten(1).numpy()
    np.testing.assert_allclose(theirs, np.stack(asked), atol=1e-5)
    np.testing.assert_allclose(found.flatten().numpy(), point, atol=1e-5)
    assert fooled == (radius == 3.0)
    assert len(asked) > (65 if radius == 0.25 else 10)


def test_no_direction_is_tried_twice_before_all_were():
    images, label = 0.3 + 0.4 * some_images(1), torch.zeros(1, dtype=torch.int64)
    network = Asked(nn.Sequential(nn.Flatten(), nn.Linear(SIDE * SIDE, 2)).requires_grad_(False))
    network.network[1].weight.zero_()
    network.network[1].bias.copy_(torch.tensor([1.0, 0.0]))
    target, log = attacked(network, images, label, "scores")
    list(SimBA(steps=128).perturb(target, images, label, [0.5], keys_of(1)))
    assert log.queries.item() == 1 + 2 * 128
    places = (torch.cat(network.inputs[1:]) != images).flatten(1).int().argmax(dim=1)
    orders = places.reshape(2, 64, 2)
    assert (orders[:, :, 0] == orders[:, :, 1]).all()
    assert (orders[:, :, 0].sort(dim=1).values == torch.arange(64)).all()
    assert (orders[0] != orders[1]).any()


def test_unbounded_it_is_as_near_as_the_toolboxs_with_the_same_step():
    """The toolbox asks both signs and takes the better; its distances scatter as ours do."""
    network, images = QuadraticClassifier(), some_images(12)
    ours = run_entry(entry("simba", "scores", "l2", step=0.01), network, images, strengths=(0.0, 10.0))
    ours = ours[ours["strength"] > 0]
    theirs = run_entry(entry("art:SimBA", "scores", "l2", attack="px", epsilon=0.1), network, images)
    assert not ours["correct"].any()
    assert np.isfinite(theirs["l2"]).all()
    ratio = np.log(ours["l2"].to_numpy() / theirs["l2"].to_numpy())
    assert abs(ratio.mean()) < 0.1
    assert ours["queries"].mean() < theirs["queries"].mean()

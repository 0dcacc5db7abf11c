"""The smallest known distances, against models of which they are known in closed form, and on models that hide them."""

import numpy as np
import pytest
import torch
from torch import nn

from robustbench_pix.attacks.recorded import INFLATION_IMAGES
from robustbench_pix.evaluation.evaluate import attacked_indices, image_order
from robustbench_pix.evaluation.nearest import smallest_distances
from tests.attacks.toys import Halfspace, QuadraticClassifier, decisions_of, gray_images


def search(network, images, labels, task="toy", classes=2):
    return smallest_distances(network, images, labels, task=task, classes=classes, device="cpu")


def test_of_a_halfspace_they_are_the_distances_to_it():
    network, images = Halfspace(distance=0.3), gray_images(40)
    found = search(network, images, decisions_of(network, images)).set_index("index")
    assert len(found) == INFLATION_IMAGES
    exact = network.distances(images).numpy()[found.index]
    assert (found["l2"] >= exact * (1 - 1e-5)).all()
    np.testing.assert_allclose(found["l2"], exact, rtol=0.01)
    np.testing.assert_allclose(found["ddn"], exact, rtol=0.05)
    np.testing.assert_allclose(found["fab"], exact, rtol=0.06)
    assert found["l2"].tolist() == found[["ddn", "fab"]].min(axis="columns").tolist()


def test_the_farthest_image_is_that_of_the_opposite_corner():
    network, images = Halfspace(distance=0.3), gray_images(20)
    found = search(network, images, decisions_of(network, images)).set_index("index")
    pixels = images.double().numpy().reshape(20, -1)[found.index]
    expected = np.sqrt((np.where(pixels < 0.5, 1 - pixels, pixels) ** 2).sum(axis=1))
    np.testing.assert_allclose(found["farthest"], expected, rtol=1e-6)


def test_the_images_are_the_first_that_attacks_on_fewer_images_choose_and_the_model_gets_right():
    network, images = Halfspace(distance=0.3), gray_images(60)
    labels = decisions_of(network, images)
    order = image_order("toy", 60)
    labels[order[[0, 3]]] = 1 - labels[order[[0, 3]]]
    found = search(network, images, labels)
    assert found["index"].tolist() == sorted(np.delete(order, [0, 3])[:INFLATION_IMAGES])
    assert set(found["index"]) < set(attacked_indices("toy", 60, 18))


def test_a_model_that_is_never_right_has_none():
    network, images = Halfspace(distance=0.3), gray_images(20)
    assert search(network, images, 1 - decisions_of(network, images)).empty


def test_what_is_found_is_the_same_beside_other_images():
    network, images = QuadraticClassifier(), gray_images(40)
    labels = decisions_of(network, images)
    whole = search(network, images, labels, classes=4)
    others = torch.ones(40, dtype=torch.bool)
    others[whole["index"].tolist()] = False
    changed = torch.where(others[:, None, None, None], 1 - images, images)
    other_labels = torch.where(others, (decisions_of(network, changed) + 1) % 4, labels)
    assert search(network, changed, other_labels, classes=4).equals(whole)


class Hidden(nn.Module):
    """Decides as its network does; what it shows has a gradient of 0, or none."""

    def __init__(self, network, detached):
        super().__init__()
        self.network, self.detached = network, detached

    def forward(self, images):
        if self.detached:
            return self.network(images.detach())
        return self.network(images).sign() + 0 * images.sum()


@pytest.mark.parametrize("detached", [False, True])
def test_where_the_gradient_is_hidden_nothing_near_is_known(detached):
    """DDN walks at random where the gradient is 0, and is not run where there is none."""
    network, images = Halfspace(distance=0.3), gray_images(20)
    found = search(Hidden(network, detached).eval(), images, decisions_of(network, images)).set_index("index")
    assert len(found) == INFLATION_IMAGES
    assert (found["l2"] > 2 * network.distances(images).numpy()[found.index]).all()
    assert np.isinf(found["fab"]).all()
    assert np.isinf(found["l2"]).all() == detached

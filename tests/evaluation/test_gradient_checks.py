"""Networks that hide their gradients are found out, each by the signs that it must show; honest ones are not."""

from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

from robustbench_pix.attacks.common.norms import Ball, steepest
from robustbench_pix.attacks.querying.oracle import GRADIENT_FREE_SUITES, NoGradientError, Oracle
from robustbench_pix.catalogue.workspace import Workspace
from robustbench_pix.data.base import load_dataset
from robustbench_pix.evaluation.gradient_checks import gather, loss_surface
from robustbench_pix.networks.building import build_network
from robustbench_pix.networks.inference import OpaqueModel
from robustbench_pix.results.gradient_masking import signs, verdict
from tests.attacks.toys import Halfspace, entry, gray_images, keys_of, run_entry

RADIUS = 0.15
RADII = RADIUS, 0.3
CATALOGUE = Workspace(Path(__file__).parents[2])


@cache
def digits():
    data = load_dataset("digits", None, root=Path(), colour="gray")
    return tuple(
        tensor.float() / 255 if tensor.dtype == torch.uint8 else tensor
        for tensor in (data.train_images, data.train_labels, data.test_images, data.test_labels)
    )


@cache
def trained(seed, adversarially=False):
    """Return a small network trained on digits, after Madry et al. 2018 if wanted: on ascents of its own loss."""
    images, labels, _, _ = digits()
    network = build_network("small", None, {"width": 8}, channels=1, classes=10, seed=seed)
    optimizer = torch.optim.Adam(network.parameters(), 3e-3)
    generator = torch.Generator().manual_seed(seed)
    for _ in range(12 if adversarially else 8):
        for rows in torch.randperm(len(images), generator=generator).split(64):
            shown = worse(network, images[rows], labels[rows]) if adversarially else images[rows]
            optimizer.zero_grad()
            functional.cross_entropy(network.train()(shown), labels[rows]).backward()
            optimizer.step()
    return network.eval()


def worse(network, images, labels, steps=5):
    ball, points = Ball(images, RADIUS, "linf"), images
    for _ in range(steps):
        points = points.detach().requires_grad_()
        (gradient,) = torch.autograd.grad(functional.cross_entropy(network(points), labels), points)
        points = ball.project(points.detach() + RADIUS / 3 * steepest(gradient, "linf"))
    return points


class Quantized(nn.Module):
    """Sees eight levels of gray: the gradient of rounding is 0 everywhere."""

    def __init__(self, network):
        super().__init__()
        self.network = network

    def forward(self, images):
        return self.network((8 * images).round() / 8)


class Noisy(Quantized):
    """Sees the image under noise that is new each time."""

    def forward(self, images):
        return self.network(images + 0.3 * torch.randn_like(images))


class Saturated(Quantized):
    """Multiplies its logits, so that the cross-entropy is 0 to the last bit and its gradient too."""

    def forward(self, images):
        return 1000 * self.network(images)


@cache
def honest_evidence(adversarially):
    return evidence_of(trained(0, adversarially))


def evidence_of(network):
    _, _, images, labels = digits()
    return gather(network, trained(9), images, labels, task="digits", radii=RADII, classes=10, device="cpu")


def shown_by(evidence):
    return {sign.question for sign in signs(evidence) if sign.shows}


@pytest.mark.parametrize("adversarially", [False, True])
def test_honest_networks_are_sound(adversarially):
    evidence = honest_evidence(adversarially)
    assert verdict(evidence) == "sound", signs(evidence)
    if adversarially:
        safe = ~evidence[["restart_1", "restart_2", "restart_3"]].any(axis="columns")
        assert safe.mean() > 0.3, "training against the attack is to have helped, or the test says nothing"


@pytest.mark.parametrize(
    ("hide", "expected"),
    [
        (Quantized, {"there is no gradient", "black box beats white box", "accuracy stays above 0 without bound"}),
        (Noisy, {"answers change when asked again"}),
        (Saturated, {"there is no gradient", "black box beats white box", "accuracy stays above 0 without bound"}),
    ],
)
def test_networks_that_hide_their_gradient_are_masked(hide, expected):
    evidence = evidence_of(hide(trained(0)).eval())
    assert expected <= shown_by(evidence)
    assert verdict(evidence).startswith("masked: ")


def test_the_reasons_say_how_many_images_of_how_many():
    evidence = honest_evidence(False).assign(zero_gradient=False, flat=False)
    evidence.loc[:9, "zero_gradient"] = True
    evidence.loc[:0, "flat"] = True
    assert verdict(evidence) == f"masked: no gradient on 10 of {len(evidence)} images"


def test_on_a_linear_network_the_evidence_is_what_the_distances_say():
    network, images = Halfspace(distance=0.3), gray_images(40)
    labels = network(images).argmax(dim=1)
    distances = network.margin(images).detach().abs() / network.weight.detach().abs().sum()
    radius = distances.median().item()
    clear = torch.minimum((distances / radius - 1).abs(), (distances / (2 * radius) - 1).abs()) > 0.02
    found = gather(network, network, images, labels, task="toy", radii=(radius, radius), classes=2, device="cpu")
    found = found.set_index("index")[clear.numpy()]
    near, farther = ((distances <= times * radius)[clear].tolist() for times in (1, 2))
    assert sum(near) > 10
    assert sum(farther) > sum(near) + 5
    for name in ("restart_1", "restart_2", "restart_3", "few_steps", "transfer"):
        assert found[name].tolist() == near, name
    assert found["larger"].tolist() == farther
    assert found["unbounded"].all()
    assert not (found["square"] & ~found["restart_1"]).any()


class Telling(Quantized):
    """Notes whether it is asked under float32 that means float32."""

    def __init__(self, network):
        super().__init__(network)
        self.told = []

    def forward(self, images):
        self.told.append(not torch.backends.cudnn.allow_tf32 and torch.backends.cudnn.deterministic)
        return self.network(images)


def test_the_model_is_asked_in_float32_throughout():
    network = Telling(trained(0)).eval()
    evidence_of(network)
    assert len(network.told) > 100
    assert all(network.told)


def test_a_model_that_is_never_right_fails_the_check():
    _, _, images, _ = digits()
    other = trained(0)
    never = (other(images).argmax(dim=1) + 1) % 10
    evidence = gather(other, trained(9), images, never, task="digits", radii=RADII, classes=10, device="cpu")
    assert verdict(evidence) == "failed: the model gets none of the images right, so there is nothing to check"


class Cut(nn.Module):
    """Answers as its network does, and no gradient of the answer reaches the image."""

    def __init__(self, network, how):
        super().__init__()
        self.network, self.how = network, how

    def forward(self, images):
        network = self.network
        if self.how == "detach":
            return network((images.detach() * 16).round() / 16)
        if self.how == "numpy":
            return network(torch.from_numpy(np.asarray(images.numpy())))
        if self.how == "one-hot":
            return functional.one_hot(network(images).argmax(dim=1), 10)
        if self.how == "uint8":
            return network((255 * images).to(torch.uint8) / 255)
        if self.how == "another tensor":
            return network(images.detach()) * torch.ones(1, requires_grad=True)
        with torch.no_grad() if self.how == "no_grad" else torch.inference_mode():
            return network(images)


CUTS = ["detach", "numpy", "one-hot", "uint8", "another tensor", "no_grad", "inference_mode"]


@pytest.mark.parametrize("how", CUTS)
def test_a_model_without_a_gradient_fails_the_check_and_does_not_break_it(how):
    evidence = evidence_of(OpaqueModel(Cut(trained(0), how)).eval())
    count = len(evidence)
    assert count > 50
    assert verdict(evidence) == f"masked: no gradient on {count} of {count} images"


@pytest.mark.parametrize("attack", ["fast-gradient-sign", "projected-gradient", "auto-attack", "foolbox:LinfPGD"])
@pytest.mark.parametrize("how", CUTS)
def test_attacks_that_follow_gradients_say_that_there_is_none(attack, how):
    _, _, images, labels = digits()
    network = OpaqueModel(Cut(trained(0), how)).eval()
    with pytest.raises(NoGradientError) as raised:
        run_entry(entry(attack, "gradients", "linf"), network, images[:4], labels[:4], classes=10)
    text = str(raised.value)
    assert text.startswith("the model gives no gradient")
    for suite in GRADIENT_FREE_SUITES:
        assert suite in text
        accesses = {CATALOGUE.attack(name).access for name in CATALOGUE.suite(suite).attacks}
        assert "gradients" not in accesses


def test_an_error_of_the_model_itself_is_told_as_it_is():
    class Broken(Quantized):
        def forward(self, images):
            raise RuntimeError("out of order")

    oracle = Oracle(Broken(trained(0)), "gradients", None)
    with pytest.raises(RuntimeError, match="out of order"):
        oracle(torch.zeros(1, 1, 8, 8, requires_grad=True))


class TwoFaced(nn.Module):
    """Decides as one network does, and shows the scores and the gradients of another."""

    def __init__(self, deciding, shown):
        super().__init__()
        self.deciding, self.shown = deciding, shown

    def forward(self, images):
        with torch.no_grad():
            decided = self.deciding(images).argmax(dim=1, keepdim=True)
        mean_aucs = self.shown(images)
        raised = mean_aucs.detach().amax(dim=1, keepdim=True) + 1 - mean_aucs.detach().gather(1, decided)
        return mean_aucs.scatter_add(1, decided, raised)


def test_a_model_that_decides_by_another_network_than_it_shows_is_masked():
    evidence = evidence_of(TwoFaced(trained(0), trained(1)).eval())
    assert "decisions lead nearer than gradients" in shown_by(evidence)
    assert verdict(evidence).startswith("masked: ")


def test_around_an_image_a_linear_network_is_steepest_along_its_gradient():
    network, images = Halfspace(distance=0.3), gray_images(4)
    labels = network(images).argmax(dim=1)
    surface = loss_surface(network, images, labels, keys_of(4), 0.01)
    assert {name: values.unique().tolist() for name, values in surface.items()} == {
        "changing": [False], "zero_gradient": [False], "flat": [False], "uphill": [True],
    }  # fmt: skip
    flat = loss_surface(
        lambda images: 0 * images.flatten(1)[:, :2] + torch.tensor([0.0, 1.0]), images, labels, keys_of(4), 0.01
    )
    assert {name: values.unique().tolist() for name, values in flat.items()} == {
        "changing": [False], "zero_gradient": [True], "flat": [True], "uphill": [False],
    }  # fmt: skip


def test_what_is_found_does_not_depend_on_other_images():
    """The 64 images are a fixed choice; one of them is given with less company."""
    network, images = Halfspace(distance=0.3), gray_images(4)
    labels = network(images).argmax(dim=1)
    four = loss_surface(network, images, labels, keys_of(4), 0.01)
    two = loss_surface(network, images[:2], labels[:2], keys_of(4)[:2], 0.01)
    assert all(torch.equal(four[name][:2], two[name]) for name in four)

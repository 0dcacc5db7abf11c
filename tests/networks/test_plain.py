import pytest
import torch
from torch import nn
from torch.nn import functional

from robustbench_pix.catalogue.workspace import SHIPPED, Workspace
from robustbench_pix.networks.plain import Plain
from robustbench_pix.networks.segments import segmented


@pytest.mark.parametrize(("channels", "height", "width"), [(1, 8, 8), (3, 32, 32), (1, 9, 14)])
def test_taps_halve_and_logits_are_those_of_the_last(channels, height, width):
    network = Plain(channels=channels, classes=5, width=3).eval()
    images = torch.rand(2, channels, height, width)
    taps = network.features(images)
    assert [tap.shape[1:] for tap in taps] == [(3 * 2**k, height // 2**k, width // 2**k) for k in range(3)]
    torch.testing.assert_close(network(images), network.linear(taps[-1].mean(dim=(2, 3))))


def test_equals_its_layers_in_a_row():
    network, images = Plain(channels=1, classes=4, width=2, scale=5.0, shift=0.5).eval(), torch.rand(3, 1, 8, 8)
    hidden = 5 * (images - 0.5)
    convolutions = [module for module in network.modules() if isinstance(module, nn.Conv2d)]
    assert len(convolutions) == 6
    for place, convolution in enumerate(convolutions):
        if place in (2, 4):
            hidden = functional.max_pool2d(hidden, 2)
        # Fresh BatchNorm in eval mode divides by the root of 1 + eps.
        hidden = functional.relu(functional.conv2d(hidden, convolution.weight, padding=1) / (1 + 1e-5) ** 0.5)
    expected = hidden.mean(dim=(2, 3)) @ network.linear.weight.T + network.linear.bias
    torch.testing.assert_close(network(images), expected, atol=1e-6, rtol=1e-5)


def test_images_of_a_batch_meet_in_batch_norm_alone():
    """What ``fusible`` promises: a fused pass is the passes one after the other."""
    torch.manual_seed(0)
    network, images = Plain(channels=1, classes=4, width=2), torch.rand(6, 1, 8, 8)
    with torch.no_grad(), segmented(network, (2, 4)):
        fused = network(images)
    apart = torch.cat([network(images[:2]), network(images[2:])])
    torch.testing.assert_close(fused, apart, atol=1e-6, rtol=1e-5)


def test_it_is_no_tasks_own_network():
    catalogue = Workspace(SHIPPED)
    assert "plain" not in {catalogue.task(name).network for name in catalogue.names("models/tasks")}
    for name in ("transfer-fgsm-other", "transfer-mi-fgsm-other"):
        assert [source.network for source in catalogue.attack(name).sources] == ["plain"]


@pytest.mark.parametrize("attack", ["transfer-fgsm", "transfer-mi-fgsm"])
@pytest.mark.parametrize("sources", ["other", "ensemble"])
def test_an_attack_from_other_sources_is_otherwise_the_same(attack, sources):
    """So that a difference between their columns is one of the sources."""
    catalogue = Workspace(SHIPPED)
    own, other = (
        catalogue.attack(name).model_dump(exclude={"name", "path", "summary", "reference", "sources"})
        for name in (attack, f"{attack}-{sources}")
    )
    assert other == own

"""Networks to be asked against the networks that were trained."""

import copy

import pytest
import torch
from torch import nn

from robustbench_pix.networks.building import build_network
from robustbench_pix.networks.inference import for_inference
from robustbench_pix.networks.resnet import ResNet


def trained(name, size, channels=1):
    """Return a network whose BatchNorm has statistics, scales and shifts that are not those of the beginning."""
    parameters = {"width": 4, "scale": 5.0, "shift": 0.5}
    network = build_network(name, None, parameters, channels=channels, classes=5, seed=0)
    generator = torch.Generator().manual_seed(1)
    images = torch.rand(20, channels, size, size, generator=generator)
    with torch.no_grad():
        for module in network.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.weight.uniform_(0.5, 1.5, generator=generator)
                module.bias.uniform_(-0.5, 0.5, generator=generator)
        for _ in range(3):
            network.train()(images)
    return network.eval(), images


@pytest.mark.parametrize("blocked", [True, False], ids=["blocked", "folded"])
@pytest.mark.parametrize(("name", "size", "channels"), [("small", 8, 1), ("resnet18", 28, 3), ("resnet34", 32, 1)])
def test_the_logits_are_the_same(monkeypatch, blocked, name, size, channels):
    if not blocked:
        monkeypatch.setattr(torch.backends.mkldnn, "is_available", lambda: False)
    network, images = trained(name, size, channels)
    before = copy.deepcopy(network.state_dict())
    asked = for_inference(network)
    with torch.no_grad():
        expected = network.double()(images.double()).float()
        got = asked(images)
    spread = float(expected.std(dim=0).mean())
    torch.testing.assert_close(got, expected, rtol=1e-5, atol=0.01 * spread)
    assert not any(isinstance(module, nn.BatchNorm2d) for module in asked.modules())
    assert all(torch.equal(before[key].double(), value.double()) for key, value in network.state_dict().items())


def test_an_image_is_judged_alike_alone_and_among_others():
    network, images = trained("small", 8)
    asked = for_inference(network)
    with torch.no_grad():
        together, alone = asked(images), torch.cat([asked(image) for image in images.split(1)])
    torch.testing.assert_close(together, alone, rtol=1e-5, atol=1e-6)


def test_a_network_of_which_nothing_is_known_is_left_as_it_is():
    class Other(ResNet):
        def forward(self, images):
            return -super().forward(images)

    network, images = trained("small", 8)
    network.__class__ = Other
    with torch.no_grad():
        expected = network(images)
        torch.testing.assert_close(for_inference(network)(images), expected)
    assert for_inference(network) is network

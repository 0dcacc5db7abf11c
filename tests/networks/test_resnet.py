import pytest
import torch
from torch import nn

from robustbench_pix.networks.building import build_network, features
from robustbench_pix.networks.resnet import resnet18, resnet34, small


def multiply_accumulates(network: nn.Module, images: torch.Tensor) -> int:
    """Count by hooks: output entries times the inputs each one takes."""
    total = 0

    def count(module: nn.Module, inputs: tuple[torch.Tensor], output: torch.Tensor) -> None:
        nonlocal total
        if isinstance(module, nn.Conv2d):
            total += output.numel() * module.in_channels * module.kernel_size[0] * module.kernel_size[1]
        elif isinstance(module, nn.Linear):
            total += output.numel() * module.in_features

    hooks = [module.register_forward_hook(count) for module in network.modules()]
    with torch.no_grad():
        network.eval()(images)
    for hook in hooks:
        hook.remove()
    return total


@pytest.mark.parametrize(
    ("build", "channels", "side", "expected"),
    [
        (resnet18, 1, 32, 556.9e6),
        (resnet18, 3, 32, 563.3e6),
        (resnet18, 1, 28, 457.8e6),
        (resnet34, 1, 32, 1160.9e6),
    ],
)
def test_the_papers_networks_cost_what_the_paper_says(build, channels, side, expected):
    network = build(channels=channels, classes=10)
    assert multiply_accumulates(network, torch.zeros(1, channels, side, side)) == pytest.approx(expected, rel=1e-3)


def test_the_stem_keeps_the_size_and_there_are_five_taps():
    taps = resnet18(channels=1, classes=10, width=4).features(torch.zeros(1, 1, 32, 32))
    assert [tuple(tap.shape[1:]) for tap in taps] == [(4, 32, 32), (4, 32, 32), (8, 16, 16), (16, 8, 8), (32, 4, 4)]
    assert all(tap.min() >= 0 for tap in taps)


def test_features_accept_pictures_of_another_size_than_the_task():
    network = resnet18(channels=1, classes=10, width=4)
    assert [tap.shape[2:] for tap in features(network, torch.rand(2, 1, 36, 64))][-1] == (5, 8)


def test_a_strided_stem_quarters_every_later_map():
    network = resnet18(channels=1, classes=10, width=16, stem_stride=2)
    taps = network.features(torch.zeros(1, 1, 28, 28))
    assert [tuple(tap.shape[1:]) for tap in taps] == [(16, 14, 14), (16, 14, 14), (32, 7, 7), (64, 4, 4), (128, 2, 2)]
    assert network(torch.zeros(2, 1, 28, 28)).shape == (2, 10)


@pytest.mark.parametrize("build", [resnet18, small])
def test_input_scaling_is_inside(build):
    plain = build(channels=1, classes=10, width=4).eval()
    scaled = build(channels=1, classes=10, width=4, scale=5.0, shift=0.5).eval()
    scaled.load_state_dict(plain.state_dict())
    images = torch.rand(3, 1, 32, 32)
    torch.testing.assert_close(scaled(images), plain(5 * (images - 0.5)))


def test_blocks_are_basic_blocks_with_projections_where_the_shape_changes():
    network = resnet34(channels=1, classes=100, width=4)
    assert [len(stage) for stage in network.stages] == [3, 4, 6, 3]
    assert [len(stage[0].shortcut) for stage in network.stages] == [0, 2, 2, 2]
    assert all(module.bias is None for module in network.modules() if isinstance(module, nn.Conv2d))


def test_initial_weights_depend_on_the_seed_alone():
    def weights(seed):
        return build_network("small", None, {"width": 2}, channels=1, classes=10, seed=seed).state_dict()

    torch.manual_seed(5)
    first, state = weights(0), torch.random.get_rng_state()
    torch.rand(7)
    second = weights(0)
    assert all(torch.equal(first[name], second[name]) for name in first)
    assert not torch.equal(first["linear.weight"], weights(1)["linear.weight"])
    torch.manual_seed(5)
    assert torch.equal(torch.random.get_rng_state(), state), "building a network must not move the global generator"

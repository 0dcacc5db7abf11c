"""Fused forwards against separate ones, in float64: losses, gradients, running statistics."""

import copy

import pytest
import torch
from torch import nn
from torch.nn import functional

from robustbench_pix.networks.building import build_network
from robustbench_pix.training.passes import forward_passes, gains_from_fusion


def images(count, height=32, width=32, channels=1, seed=0):
    return torch.rand(count, channels, height, width, generator=torch.Generator().manual_seed(seed)).double()


def network(name="resnet18", channels=1):
    return build_network(name, None, {"width": 4}, channels=channels, classes=5, seed=0).double().train()


def loss_of(net, task, first, second, fused):
    passes = forward_passes(net, [task], [first, second], fused=fused)
    loss = functional.cross_entropy(passes.logits, torch.arange(len(task)) % 5)
    for weight, one, other in zip((1.0, 0.5, 2.0, 0.1, 1.0), *passes.others, strict=False):
        loss = loss + weight * functional.cosine_similarity(one.flatten(1), other.flatten(1)).square().mean()
    return loss


@pytest.mark.parametrize("name", ["resnet18", "small"])
@pytest.mark.parametrize("size", [(32, 32), (18, 32)], ids=["one size", "two sizes"])
def test_fused_forwards_are_three_forwards(name, size):
    separate = network(name)
    fused = copy.deepcopy(separate)
    batch = images(6), images(3, *size, seed=1), images(3, *size, seed=2)
    losses = [loss_of(net, *batch, fused=net is fused) for net in (separate, fused)]
    for loss in losses:
        loss.backward()
    assert losses[0].item() == pytest.approx(losses[1].item(), rel=1e-12)
    for (label, one), other in zip(separate.named_parameters(), fused.parameters(), strict=True):
        torch.testing.assert_close(one.grad, other.grad, rtol=1e-9, atol=1e-11, msg=label)
    for (label, one), other in zip(separate.named_buffers(), fused.buffers(), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-12, atol=1e-14, msg=label)


def test_forgetting_the_segments_would_show():
    separate, fused = network(), network()
    batch = images(6), images(3, seed=1), images(3, seed=2)
    forward_passes(separate, [batch[0]], batch[1:], fused=False)
    fused.features(torch.cat(batch))
    assert not torch.allclose(separate.stem[1].running_var, fused.stem[1].running_var, rtol=1e-3)


@pytest.mark.parametrize("fused", [False, True])
def test_passes_for_statistics_move_the_statistics_alone(fused):
    ours, plain = network(), network()
    first, second = images(3, seed=1), images(3, seed=2)
    task = images(6)
    assert torch.equal(
        forward_passes(ours, [task], [first, second], fused=fused, others_gradient=False).logits, plain(task)
    )
    plain.features(first)
    plain.features(second)
    for (name, one), other in zip(ours.state_dict().items(), plain.state_dict().values(), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-12, atol=1e-14, msg=name)
    assert all(parameter.grad is None for parameter in ours.parameters())


def test_only_networks_that_promise_it_are_fused_and_on_a_cpu_only_small_images():
    class Stranger(nn.Module):
        features = None

    assert gains_from_fusion(network(), images(1, 16, 16))
    assert not gains_from_fusion(network(), images(1))
    assert gains_from_fusion(network(), images(1).to("meta"))
    assert not gains_from_fusion(Stranger(), images(1, 8, 8))


@pytest.mark.parametrize("name", ["resnet18", "resnet34", "small"])
def test_our_networks_keep_what_fusible_promises(name):
    net = network(name).eval()
    batch = images(2)
    assert net.fusible
    assert torch.equal(net(batch), net.head(net.features(batch)[-1]))
    assert not any(type(module) is nn.BatchNorm2d for module in net.modules())

"""BatchNorm over segments against torch's BatchNorm, called once for each segment."""

import copy

import pytest
import torch
from torch import nn

from robustbench_pix.networks.segments import BatchNorm2d, segmented

SEGMENTS = (5, 2, 3)


def layers():
    """Return ours and torch's with the same weights and running statistics."""
    generator = torch.Generator().manual_seed(0)
    ours = BatchNorm2d(4)
    with torch.no_grad():
        ours.weight.copy_(torch.rand(4, generator=generator))
        ours.bias.copy_(torch.rand(4, generator=generator))
    theirs = nn.BatchNorm2d(4)
    theirs.load_state_dict(ours.state_dict())
    return ours, theirs


def maps(dtype=torch.float32):
    return torch.randn(10, 4, 6, 5, generator=torch.Generator().manual_seed(1)).to(dtype)


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize(
    ("dtype", "tolerance"), [(torch.float64, 1e-12), (torch.float32, 1e-5), (torch.bfloat16, 1e-2)]
)
def test_segments_are_batches_one_after_the_other(layout, dtype, tolerance):
    ours, theirs = layers()
    if dtype == torch.float64:
        ours, theirs = ours.double(), theirs.double()
    inputs = maps(dtype).contiguous(memory_format=layout).requires_grad_()
    others = inputs.detach().clone().requires_grad_()
    gradient = maps().roll(3, 0).to(dtype)
    with segmented(ours, SEGMENTS):
        fused = ours(inputs)
    fused.backward(gradient)
    separate = torch.cat([theirs(part) for part in others.split(SEGMENTS)])
    separate.backward(gradient)
    assert fused.is_contiguous(memory_format=layout)
    close = {"rtol": tolerance, "atol": tolerance}
    torch.testing.assert_close(fused, separate, **close)
    torch.testing.assert_close(inputs.grad, others.grad, **close)
    for name, value in theirs.state_dict().items():
        torch.testing.assert_close(ours.state_dict()[name], value, **close, msg=name)
    torch.testing.assert_close(ours.weight.grad, theirs.weight.grad, **close)
    torch.testing.assert_close(ours.bias.grad, theirs.bias.grad, **close)


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_the_statistics_of_many_entries_are_as_exact_as_float32_allows(layout):
    """Torch's own layer errs by 1e-4 here in channels_last."""
    inputs = 3 * torch.randn(64, 4, 28, 28, generator=torch.Generator().manual_seed(0)) + 1
    layer, exact = BatchNorm2d(4), nn.BatchNorm2d(4).double()
    with torch.no_grad():
        error = layer(inputs.contiguous(memory_format=layout)).double() - exact(inputs.double())
    assert float(error.abs().max()) < 3e-6
    torch.testing.assert_close(layer.running_var.double(), exact.running_var, rtol=1e-6, atol=0)
    torch.testing.assert_close(layer.running_mean.double(), exact.running_mean, rtol=1e-5, atol=1e-7)


def test_the_gradient_is_that_of_finite_differences():
    layer = BatchNorm2d(4).double()
    with segmented(layer, SEGMENTS):
        assert torch.autograd.gradcheck(lambda x: layer(x), maps(torch.float64)[:, :, :2, :2].clone().requires_grad_())


def test_one_batch_norm_over_the_whole_batch_is_something_else():
    ours, theirs = layers()
    with segmented(ours, SEGMENTS):
        fused = ours(maps())
    assert not torch.allclose(fused, theirs(maps()), atol=1e-2)


def test_outside_the_context_and_in_eval_mode_it_is_torchs():
    ours, theirs = layers()
    torch.testing.assert_close(ours(maps()), theirs(maps()))
    torch.testing.assert_close(ours.running_var, theirs.running_var)
    ours.load_state_dict(theirs.state_dict())
    ours.eval()
    theirs.eval()
    with segmented(ours, SEGMENTS):
        assert torch.equal(ours(maps()), theirs(maps()))


@pytest.mark.parametrize("segments", [(), (1,), (4, 1)])
def test_a_single_value_has_no_variance(segments):
    layer = BatchNorm2d(4)
    with segmented(layer, segments), pytest.raises(ValueError, match="no variance of a single value"):
        layer(torch.zeros(max(1, sum(segments)), 4, 1, 1))


def test_the_context_is_left_after_an_error_and_copies_do_not_keep_it():
    net = nn.Sequential(BatchNorm2d(4))
    with pytest.raises(RuntimeError), segmented(net, SEGMENTS):
        net(torch.zeros(3, 4, 2, 2))
    assert copy.deepcopy(net)[0].segments == ()

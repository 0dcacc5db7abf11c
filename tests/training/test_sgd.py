"""FusedSGD against torch.optim.SGD."""

import pytest
import torch
from torch import nn

from robustbench_pix.training.sgd import FusedSGD


@pytest.mark.parametrize(("momentum", "weight_decay"), [(0.9, 0.0), (0.9, 0.01), (0.0, 0.0), (0.0, 0.01)])
def test_it_is_torchs_descent(momentum, weight_decay):
    generator = torch.Generator().manual_seed(0)
    ours = [nn.Parameter(torch.randn(shape, generator=generator).double()) for shape in ((3, 2), (4,), (2,))]
    theirs = [nn.Parameter(parameter.detach().clone()) for parameter in ours]
    rate = torch.zeros(())
    descent = FusedSGD(ours, rate=rate, momentum=momentum, weight_decay=weight_decay)
    optimizer = torch.optim.SGD(theirs, lr=1.0, momentum=momentum, weight_decay=weight_decay)
    for step in range(8):
        rate.fill_(0.5 ** (step // 3))
        optimizer.param_groups[0]["lr"] = 0.5 ** (step // 3)
        descent.zero_grad()
        optimizer.zero_grad()
        for index, (one, other) in enumerate(zip(ours, theirs, strict=True)):
            if index < 2 or step > 3:  # The last one has no gradient at first.
                one.grad = torch.randn(one.shape, generator=generator).double()
                other.grad = one.grad.clone()
        descent.step()
        optimizer.step()
        for one, other in zip(ours, theirs, strict=True):
            torch.testing.assert_close(one, other, rtol=1e-14, atol=1e-15)


def test_the_velocities_of_other_parameters_stay_apart():
    parameter = nn.Parameter(torch.ones(2))
    descent = FusedSGD([parameter], rate=torch.tensor(0.1), momentum=0.9, weight_decay=0.0)
    parameter.grad = torch.tensor([1.0, 0.0])
    descent.step()
    descent.step()
    assert parameter.tolist() == pytest.approx([1 - 0.1 - 0.19, 1.0])

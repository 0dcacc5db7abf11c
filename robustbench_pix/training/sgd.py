"""Stochastic gradient descent with momentum, by the kernel of ``torch.optim.SGD(fused=True)``.

It is called without ``torch.optim``, whose import of torch's compiler takes seconds in every worker process. The
learning rate is a tensor on the device, so that a captured step follows the schedule.
"""

import torch
from torch import Tensor, nn


class FusedSGD:
    """v <- momentum v + gradient + weight_decay w; w <- w - rate v; v starts at 0.

    Args:
        parameters: on one device, of one type.
        rate: the learning rate, a float32 tensor without dimensions on that device, changed in place.
    """

    def __init__(self, parameters: list[nn.Parameter], *, rate: Tensor, momentum: float, weight_decay: float) -> None:
        self.parameters, self.rate, self.momentum, self.weight_decay = parameters, rate, momentum, weight_decay
        self.velocities = [torch.zeros_like(parameter) for parameter in parameters]

    def zero_grad(self) -> None:
        """Set all gradients to None."""
        for parameter in self.parameters:
            parameter.grad = None

    @torch.no_grad()
    def step(self) -> None:
        """Update the parameters that have a gradient."""
        moved = [
            (parameter, parameter.grad, velocity)
            for parameter, velocity in zip(self.parameters, self.velocities, strict=True)
            if parameter.grad is not None
        ]
        parameters, gradients, velocities = (list(column) for column in zip(*moved, strict=True))
        torch._fused_sgd_(
            parameters,
            gradients,
            velocities if self.momentum else [],
            weight_decay=self.weight_decay,
            momentum=self.momentum,
            lr=self.rate,
            dampening=0.0,
            nesterov=False,
            maximize=False,
            is_first_step=False,
        )

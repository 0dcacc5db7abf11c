"""BatchNorm over the segments of a batch, one after the other: several train-mode forwards fused into one.

Convolutions do not care whether images pass together or in turn; BatchNorm does. A fused pass in which it normalizes
each segment by the segment's own statistics, and updates its running statistics segment by segment, is the same as
separate passes, and costs one launch of every other layer instead of several.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

Statistics = tuple[Tensor, Tensor]


class BatchNorm2d(nn.BatchNorm2d):
    """``torch.nn.BatchNorm2d``; in train mode under ``segmented`` it treats a batch as several in their order."""

    segments: tuple[int, ...] = ()

    def forward(self, inputs: Tensor) -> Tensor:
        """Return the normalized maps, (N, C, H, W)."""
        if not self.segments or not self.training:
            return super().forward(inputs)
        assert self.num_batches_tracked is not None
        self.num_batches_tracked.add_(len(self.segments))
        running = self.running_mean, self.running_var
        normalized: Tensor = _Segmented.apply(
            inputs, self.weight, self.bias, running, self.momentum, self.eps, self.segments
        )
        return normalized


class _Segmented(torch.autograd.Function):
    """Each segment is written into its part of one tensor, so that nothing is put together afterwards."""

    @staticmethod
    def forward(
        ctx: Any,
        inputs: Tensor,
        weight: Tensor,
        bias: Tensor,
        running: Statistics,
        momentum: float,
        eps: float,
        segments: tuple[int, ...],
    ) -> Tensor:
        normalized, saved = torch.empty_like(inputs), []
        for part, whole in zip(inputs.split(segments), normalized.split(segments), strict=True):
            mean, inverse_deviation = torch.empty_like(running[0]), torch.empty_like(running[0])
            torch.ops.aten.native_batch_norm.out(
                part, weight, bias, *running, True, momentum, eps,
                out=whole, save_mean=mean, save_invstd=inverse_deviation,
            )  # fmt: skip
            saved += [mean, inverse_deviation]
        ctx.save_for_backward(inputs, weight, *saved)
        ctx.eps, ctx.segments = eps, segments
        return normalized

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        inputs, weight, *saved = ctx.saved_tensors
        to_inputs, to_weight, to_bias = torch.empty_like(inputs), torch.zeros_like(weight), torch.zeros_like(weight)
        parts = zip(*(whole.split(ctx.segments) for whole in (gradient, inputs, to_inputs)), strict=True)
        for index, (part, images, place) in enumerate(parts):
            mean, inverse_deviation = saved[2 * index : 2 * index + 2]
            passed, scale, shift = torch.ops.aten.native_batch_norm_backward(
                part, images, weight, None, None, mean, inverse_deviation, True, ctx.eps, [True, True, True]
            )
            place.copy_(passed)
            to_weight += scale
            to_bias += shift
        return to_inputs, to_weight, to_bias, None, None, None, None


@contextmanager
def segmented(network: nn.Module, segments: tuple[int, ...]) -> Iterator[None]:
    """Let the ``BatchNorm2d`` of a network treat batches of ``sum(segments)`` images as so many batches."""
    layers = [module for module in network.modules() if isinstance(module, BatchNorm2d)]
    for layer in layers:
        layer.segments = segments
    try:
        yield
    finally:
        for layer in layers:
            layer.segments = ()

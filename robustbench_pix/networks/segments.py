"""BatchNorm over the segments of a batch, one after the other: several train-mode forward passes fused into one.

Only BatchNorm depends on the composition of a batch. A fused pass in which it normalizes each segment by the segment's
own statistics, and updates its running statistics segment by segment, is equivalent to separate passes, with a single
launch of every other layer.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

Statistics = tuple[Tensor, Tensor]


class BatchNorm2d(nn.BatchNorm2d):
    """``torch.nn.BatchNorm2d``; in train mode under ``segmented`` it treats a batch as several in their order.

    On a CPU torch sums float32 maps in channels_last one by one, which leaves the variance of 50,000 entries wrong by a
    ten-thousandth; this one sums them in pairs.
    """

    segments: tuple[int, ...] = ()
    differentiable_twice: bool = False

    def forward(self, inputs: Tensor) -> Tensor:
        """Return the normalized maps, (N, C, H, W)."""
        if not self.training or not (self.segments or self.differentiable_twice or inputs.device.type == "cpu"):
            return super().forward(inputs)
        segments = self.segments or (len(inputs),)
        if min(segments) * inputs.shape[2] * inputs.shape[3] == 1:
            raise ValueError("BatchNorm has no variance of a single value: a batch of one image, or larger images")
        assert self.num_batches_tracked is not None
        self.num_batches_tracked.add_(len(segments))
        running = self.running_mean, self.running_var
        if self.differentiable_twice:
            parts = [self._composed(part) for part in inputs.split(segments)]
            return parts[0] if len(parts) == 1 else torch.cat(parts)
        normalized: Tensor = _Segmented.apply(
            inputs, self.weight, self.bias, running, self.momentum, self.eps, segments
        )
        return normalized

    def _composed(self, inputs: Tensor) -> Tensor:
        """Return the normalized maps of one segment by operations that autograd derives as often as wanted."""
        assert self.running_mean is not None
        assert self.running_var is not None
        mean = inputs.mean(dim=(0, 2, 3))
        centred = inputs - _spread(mean)
        variance = centred.square().mean(dim=(0, 2, 3))
        count = inputs.numel() // len(mean)
        with torch.no_grad():
            self.running_mean.lerp_(mean, cast(float, self.momentum))
            self.running_var.lerp_(variance * (count / (count - 1)), cast(float, self.momentum))
        return centred * _spread((variance + self.eps).rsqrt() * self.weight) + _spread(self.bias)


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
        normalized, saved = torch.empty_like(inputs), list[Tensor]()
        for part, whole in zip(inputs.split(segments), normalized.split(segments), strict=True):
            if part.device.type == "cpu" and part.dtype == weight.dtype:
                saved += _normalize_in_pairs(part, weight, bias, running, momentum, eps, whole)
                continue
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


def _normalize_in_pairs(
    inputs: Tensor, weight: Tensor, bias: Tensor, running: Statistics, momentum: float, eps: float, out: Tensor
) -> tuple[Tensor, Tensor]:
    """Normalize into ``out``, update the running statistics, return the mean and the inverse deviation."""
    mean = inputs.mean(dim=(0, 2, 3))
    centred = torch.sub(inputs, _spread(mean), out=out)
    variance = centred.square().mean(dim=(0, 2, 3))
    inverse_deviation = (variance + eps).rsqrt()
    torch.addcmul(_spread(bias), centred, _spread(inverse_deviation * weight), out=out)
    count = inputs.numel() // len(mean)
    running[0].lerp_(mean, momentum)
    running[1].lerp_(variance * (count / (count - 1)), momentum)
    return mean, inverse_deviation


def _spread(values: Tensor) -> Tensor:
    return values[:, None, None]


@contextmanager
def segmented(network: nn.Module, segments: tuple[int, ...]) -> Iterator[None]:
    """Let the ``BatchNorm2d`` of a network treat a batch of ``sum(segments)`` images as separate batches."""
    layers = _layers(network)
    for layer in layers:
        layer.segments = segments
    try:
        yield
    finally:
        for layer in layers:
            layer.segments = ()


@contextmanager
def differentiable_twice(network: nn.Module) -> Iterator[None]:
    """Let gradients through the ``BatchNorm2d`` of a network in train mode be derived again, which is slower."""
    layers = _layers(network)
    for layer in layers:
        layer.differentiable_twice = True
    try:
        yield
    finally:
        for layer in layers:
            layer.differentiable_twice = False


def _layers(network: nn.Module) -> list[BatchNorm2d]:
    return [module for module in network.modules() if isinstance(module, BatchNorm2d)]
